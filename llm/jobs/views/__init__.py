"""The endpoints of jobs, on the hot path."""
