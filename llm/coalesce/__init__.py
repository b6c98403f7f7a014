"""Identical requests under way share one upstream call, also between processes."""
