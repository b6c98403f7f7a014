"""Experiments: drafts, life cycle, targeting, statistics."""
