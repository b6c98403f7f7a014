"""The gateway's tasks; those of jobs only say that there is work."""

import structlog
from celery import shared_task
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from llm.chaos import chaos_runs
from llm.chaos.drills import run_drill
from llm.jobs import expansion, recurring
from llm.jobs.worker import sweep
from llm.jobs.worker.worker_process import process_worker
from llm.journal import recovery
from llm.models.chaos import DRILL_TASK
from llm.models.job_queue import RECURRING_TASK
from llm.providers import stored_keys
from valuecanvas.core.db.periodic_work import PeriodicWork

log = structlog.get_logger("llm.tasks")
PERIODIC = (
    PeriodicWork(
        "Billing: end abandoned reservations",
        "billing.reap",
        "Bills requests whose process died, by what is known.",
        every=15,
        expire_seconds=60,
    ),
    PeriodicWork(
        "Providers: read keys of Secrets Manager again",
        "llm.refresh_provider_keys",
        "Takes over keys that were rotated there.",
        every=300,
        expire_seconds=240,
    ),
    PeriodicWork(
        "Jobs: free, expire and finish",
        "llm.jobs.sweep",
        "Frees the jobs of workers that died, ends those past their deadline, and finishes "
        "batches.",
        every=15,
        expire_seconds=15,
    ),
    PeriodicWork(
        "Jobs: purge old jobs and files",
        "llm.jobs.purge",
        "Deletes ended jobs after JOBS_KEEP_DAYS, expired files, and chaos runs after 90 days.",
        crontab="50 3 * * *",
        expire_seconds=3600,
    ),
)


@shared_task(name="billing.reap")
def reap() -> int:
    """End reservations past their lease, and those of dead processes."""
    ended = recovery.reap(settings.JOURNAL_DIR)
    if ended:
        log.warning("reservations.reaped", count=ended)
    return ended


@shared_task(name="llm.jobs.ring")
def ring_jobs() -> None:
    """Have this process's worker look for work."""
    process_worker().ring()


@shared_task(name="llm.jobs.expand_batch")
def expand_batch(pk: str) -> None:
    """Make the jobs of a batch."""
    expansion.expand_by_id(pk)


@shared_task(name="llm.jobs.sweep")
def sweep_jobs() -> dict[str, int]:
    """Free the jobs of lost workers, end those past their deadline, finish batches."""
    found = sweep.sweep()
    process_worker().ring()
    return found


@shared_task(name="llm.jobs.purge")
def purge_jobs() -> dict[str, int]:
    """Delete old jobs, results and files, and old runs of chaos experiments."""
    return {**sweep.purge(), "chaos_runs": chaos_runs.purge()}


@shared_task(name=RECURRING_TASK)
def submit_recurring(id: int) -> None:
    """Submit the job of a recurring job whose time has come."""
    recurring.submit_due(id, timezone.now())


@shared_task(name="llm.refresh_provider_keys")
def refresh_provider_keys() -> int:
    """Read providers' keys that are references. Returns how many have changed."""
    return stored_keys.refresh_keys()


@shared_task(name=DRILL_TASK, acks_late=False)
def rehearse(name: str, by: str, model: str = "") -> None:
    """Run a drill whose time has come, for the superuser `by`. It is never repeated."""
    person = User.objects.filter(username=by).first()
    try:
        run_drill(name, by=person, model=model)
    except chaos_runs.RunRefused as refusal:
        chaos_runs.record_refusal(name, str(refusal), by=person, experiment=None)
