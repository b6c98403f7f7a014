"""The server of the backed-up database: its programs, databases and tables."""
