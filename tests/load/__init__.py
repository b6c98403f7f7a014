"""Load tests: k6's scripts, and the runner that gives them an installation to load."""
