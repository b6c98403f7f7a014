"""Identical requests in shared_call share one upstream call, across streams and processes."""
