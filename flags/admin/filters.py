"""Filters of the list of flags."""

import datetime as dt

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from flags.models import ChangeState, Exposure, Flag, Purpose, ScheduledChange
from valuecanvas.core.admin.filters import ConditionFilter

# Without an evaluation, or without a change, for this long a flag is stale.
UNUSED_AFTER = dt.timedelta(days=30)
_PASSING = (Purpose.RELEASE, Purpose.EXPERIMENT)


class FlagStateFilter(ConditionFilter):
    title = "state"
    parameter_name = "state"
    usual = Q(archived=False)

    def conditions(self) -> list[tuple[str, str, Q]]:
        pending = ScheduledChange.objects.filter(
            flag=OuterRef("pk"), state=ChangeState.PENDING
        )
        alive = self.usual & Q(killed_at__isnull=True)
        off = Q(enabled=False) | Q(everyone=False)
        return [
            ("on", "On", alive & ~off),
            ("off", "Off", alive & off),
            ("killed", "Killed", self.usual & Q(killed_at__isnull=False)),
            (
                "scheduled",
                "With a scheduled change",
                self.usual & Q(Exists(pending)),
            ),
            ("archived", "Archived", Q(archived=True)),
        ]


class StaleFilter(ConditionFilter):
    title = "stale"
    parameter_name = "stale"

    def conditions(self) -> list[tuple[str, str, Q]]:
        now = timezone.now()
        return [
            ("any", "Stale for any reason", stale(now)),
            ("expired", "Expired", expired_query(now)),
            ("unused", "Not evaluated in 30 days", unused_query(now)),
            ("decided", "The same for everybody for 30 days", decided_query(now)),
        ]


def expired_query(now: dt.datetime) -> Q:
    return Q(expires_on__lt=now.date())


def unused_query(now: dt.datetime) -> Q:
    """Flags not evaluated for long, and not new."""
    asked = Exposure.objects.filter(flag=OuterRef("name"), hour__gte=now - UNUSED_AFTER)
    return ~Q(Exists(asked)) & Q(created__lt=now - UNUSED_AFTER)


def decided_query(now: dt.datetime) -> Q:
    """Temporary flags that are the same for everybody for long: the code can go."""
    same = Q(everyone__isnull=False) | Q(enabled=False) | Q(percent=100, rules=None)
    old = Q(modified__lt=now - UNUSED_AFTER)
    return Q(purpose__in=_PASSING) & same & old & Q(variants=None)


def stale(now: dt.datetime) -> Q:
    return expired_query(now) | unused_query(now) | decided_query(now)


def stale_names(flags: list[Flag], now: dt.datetime) -> dict[int, str]:
    """Why each stale flag of `flags` is stale, by its id."""
    reasons = (
        ("expired", expired_query),
        ("not used", unused_query),
        ("decided", decided_query),
    )
    ids = [flag.pk for flag in flags]
    found: dict[int, str] = {}
    for text, test in reversed(reasons):
        rows = Flag.objects.filter(test(now), pk__in=ids)
        found |= dict.fromkeys(rows.values_list("pk", flat=True), text)
    return found
