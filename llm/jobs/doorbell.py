"""Tells workers that there are jobs."""

from valuecanvas.core.db.worker_messages import tell_worker

RING = "llm.jobs.ring"
EXPAND = "llm.jobs.expand_batch"


def ring_worker() -> None:
    """Wake a worker once the open transaction is committed."""
    tell_worker(RING)


def ask_to_expand(batch_id: str) -> None:
    """Have a worker make the jobs of a batch, once the transaction is committed."""
    tell_worker(EXPAND, batch_id)
