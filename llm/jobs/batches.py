"""Batches of jobs."""

import datetime as dt
import uuid
from collections.abc import Collection

from llm.models import JobBatch


def expand_by_id(pk: str) -> None:
    """Make the jobs of a batch, unless that is done or under way."""


def refresh(ids: Collection[uuid.UUID]) -> None:
    """Count the jobs of open batches again, and close those without open jobs."""


def sweep() -> int:
    """Expand, refresh and expire open batches that need it; how many changed."""
    return 0


def delete_old(until: dt.datetime) -> int:
    """Delete batches that ended before `until`, with their jobs; how many."""
    return 0


def cancel_batch(batch: JobBatch, *, by: str) -> None:
    """Cancel a batch with its open jobs."""
