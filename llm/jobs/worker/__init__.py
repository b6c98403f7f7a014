"""The worker of jobs, and the queue that it works off."""
