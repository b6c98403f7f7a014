"""Chaos in the admin: experiments, runs, drills, windows."""

from llm.admin.chaos import experiment_page, run_page, window_page
