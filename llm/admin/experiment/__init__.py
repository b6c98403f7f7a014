"""Experiments in the admin: drafts, what is done to them, and their results."""

from llm.admin.experiment import page
