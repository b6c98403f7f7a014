"""The trace of one run of a job."""

import uuid
from contextlib import AbstractContextManager

from llm.jobs.worker.queue import End
from llm.models import Job, JobState
from valuecanvas.core.telemetry import traces
from valuecanvas.core.telemetry.traces import Kind, Trace


def start(job: Job, request_id: uuid.UUID) -> AbstractContextManager[Trace | None]:
    """The trace of the request that submitted the job, which goes on in the block.

    A line of a batch has one of its own, with a link: there are too many for one trace.
    """
    submission = traces.parse_parent(job.traceparent)
    alone = job.batch_id is None
    return traces.start(
        f"run {job.type}",
        Kind.CONSUMER,
        request_id.int,
        parent=submission if alone else None,
        link=None if alone else submission,
    )


def describe(end: End) -> None:
    """Add how the job ended. One that is queued to wait for a limit did not fail."""
    trace = traces.current()
    if trace is None:
        return
    if end.error_code and (end.counts or end.state != JobState.QUEUED):
        trace.error = end.error_code
    job = end.job
    trace.describe(
        lambda: {
            "valuecanvas.request_id": str(end.request_id),
            "valuecanvas.job.id": str(job.pk),
            "valuecanvas.job.type": job.type,
            "valuecanvas.job.state": str(end.state),
            "valuecanvas.job.attempt": job.attempts,
        }
    )
