"""Experiments in the admin: drafts, actions, results."""

from llm.admin.experiment import page
