"""Tells a worker that there is work. Losing the message loses nothing: workers look by
themselves every few seconds.
"""

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger("jobs")

RING = "llm.jobs.ring"
EXPAND = "llm.jobs.expand_batch"


def ring_worker() -> None:
    """Wake a worker once the transaction is committed."""
    transaction.on_commit(lambda: _send(RING))


def ask_to_expand(batch_id: str) -> None:
    """Have a worker make the jobs of a batch, once the transaction is committed."""
    transaction.on_commit(lambda: _send(EXPAND, batch_id))


def _send(name: str, *args: str) -> None:
    try:
        # No retries: the caller does not wait for a broker that is away.
        current_app.send_task(name, args=args, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("jobs.unrung", error=type(error).__name__)
