"""Identical requests in flight share one upstream call, across streams and processes."""
