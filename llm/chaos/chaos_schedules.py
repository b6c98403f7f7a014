"""When experiments start by themselves: once, by a crontab, or on a game day."""

import datetime as dt

from django_celery_beat.models import CrontabSchedule

from llm.models import ChaosExperiment, ChaosRun
from llm.models.chaos import ACTIVE, RunState

# A start that nobody made in time is left out.
GRACE = dt.timedelta(minutes=5)
CRON_GRACE = dt.timedelta(minutes=1)
# Between two runs of a game day, and after one that was refused.
PAUSE = dt.timedelta(minutes=1)
LONG_PAUSE = dt.timedelta(minutes=10)
# Until a person starts it again, nothing starts it.
HALTED = (RunState.ABORTED, RunState.STOPPED, RunState.LOST)


def find_scheduled() -> list[ChaosExperiment]:
    """The experiments that start by themselves at some time."""
    rows = ChaosExperiment.objects.exclude(
        starts_at=None, crontab=None, window_begins=None
    )
    return list(rows.select_related("crontab", "created_by"))


def last_run(experiment: ChaosExperiment) -> ChaosRun | None:
    return (
        ChaosRun.objects.filter(experiment=experiment).order_by("-started_at").first()
    )


def is_due(
    experiment: ChaosExperiment, last: ChaosRun | None, now: dt.datetime
) -> bool:
    """Whether the experiment, whose last run is `last`, has to start at `now`."""
    if last is not None and last.state in ACTIVE:
        return False
    if at := experiment.starts_at:
        done = last is not None and last.started_at >= at
        return at <= now < at + GRACE and not done
    if (crontab := experiment.crontab) is not None:
        return not is_halted(experiment, last) and _has_come(crontab, last, now)
    begins, ends = experiment.window_begins, experiment.window_ends
    if begins is None or ends is None or not begins <= now < ends:
        return False
    return not is_halted(experiment, last) and _has_paused(last, now)


def is_halted(experiment: ChaosExperiment, last: ChaosRun | None) -> bool:
    """Whether its schedule waits for a person, since its last run ended badly."""
    if last is None or last.state not in HALTED or experiment.starts_at:
        return False
    begins = experiment.window_begins
    return begins is None or last.started_at >= begins


def _has_come(
    crontab: CrontabSchedule, last: ChaosRun | None, now: dt.datetime
) -> bool:
    """Whether a minute of the crontab has begun since the last run."""
    since = now - CRON_GRACE
    if last is not None:
        since = max(since, last.started_at)
    since, wait, _ = crontab.schedule.remaining_delta(
        since.astimezone(crontab.timezone)
    )
    return bool(since + wait <= now)


def _has_paused(last: ChaosRun | None, now: dt.datetime) -> bool:
    if last is None or last.ended_at is None:
        return True
    pause = LONG_PAUSE if last.state == RunState.REFUSED else PAUSE
    return bool(now - last.ended_at >= pause)
