"""Alerts: rules are checked, what holds is an event, and each is sent once."""
