"""PostgreSQL and Valkey started by us where none is configured.

For trying and testing, never for production. Nothing here imports Django: manage.py
and the settings use it before Django is set up.
"""
