"""Brings a running installation's database to this version without stopping it."""
