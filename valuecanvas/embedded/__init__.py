"""Starts PostgreSQL and Valkey as child processes if none is configured.

For demos and tests, never for production. Nothing here imports Django, since manage.py
and the settings use it before Django is set up.
"""
