"""Tests that hold a threat of docs/SECURITY.md as a whole."""
