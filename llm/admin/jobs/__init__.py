"""The admin of jobs: the queue, jobs, batches, files and recurring jobs."""

from llm.admin.jobs import batch_page, file_page, job_page, recurring_page

__all__ = ["batch_page", "file_page", "job_page", "recurring_page"]
