"""Callbacks of jobs and batches."""

from llm.models import Job, JobBatch


def queue_job_callback(job: Job) -> None:
    """Queue the callback of a job that has ended."""


def queue_batch_callback(batch: JobBatch) -> None:
    """Queue the callback of a batch that has ended."""


def check_callback_url(url: str) -> None:
    """Raises ValidationError for a URL that no callback may have."""
