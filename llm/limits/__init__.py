"""Minute limits: requests and tokens in any 60 seconds, and requests at once."""
