"""What the list of flags can be narrowed to."""

import datetime as dt

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter

from flags.models import ChangeState, Exposure, Flag, Purpose, ScheduledChange

# A flag that nobody asked for in this time, or that changed nothing for so long.
UNUSED_AFTER = dt.timedelta(days=30)
_PASSING = (Purpose.RELEASE, Purpose.EXPERIMENT)


class StateFilter(DropdownFilter):  # type: ignore[misc]
    title = "state"
    parameter_name = "state"

    def lookups(
        self, request: HttpRequest, model_admin: object
    ) -> list[tuple[str, str]]:
        return [
            ("on", "On"),
            ("off", "Off"),
            ("killed", "Killed"),
            ("scheduled", "With a scheduled change"),
            ("archived", "Archived"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        state = self.value()
        if state == "archived":
            return queryset.filter(archived=True)
        used = queryset.filter(archived=False)
        off = Q(enabled=False) | Q(everyone=False)
        if state == "killed":
            return used.filter(killed_at__isnull=False)
        if state == "scheduled":
            pending = ScheduledChange.objects.filter(
                flag=OuterRef("pk"), state=ChangeState.PENDING
            )
            return used.filter(Exists(pending))
        if state in ("on", "off"):
            alive = used.filter(killed_at__isnull=True)
            return alive.exclude(off) if state == "on" else alive.filter(off)
        return used


class StaleFilter(DropdownFilter):  # type: ignore[misc]
    title = "stale"
    parameter_name = "stale"

    def lookups(
        self, request: HttpRequest, model_admin: object
    ) -> list[tuple[str, str]]:
        return [
            ("any", "Stale for any reason"),
            ("expired", "Past their date"),
            ("unused", "Not asked for in 30 days"),
            ("decided", "The same for everybody for 30 days"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        chosen = {
            "expired": expired,
            "unused": unused,
            "decided": decided,
            "any": stale,
        }
        found = chosen.get(self.value() or "")
        return queryset.filter(found(timezone.now())) if found else queryset


def expired(now: dt.datetime) -> Q:
    return Q(expires_on__lt=now.date())


def unused(now: dt.datetime) -> Q:
    """Nobody asked for it for long, and it isn't new."""
    asked = Exposure.objects.filter(flag=OuterRef("name"), hour__gte=now - UNUSED_AFTER)
    return ~Q(Exists(asked)) & Q(created__lt=now - UNUSED_AFTER)


def decided(now: dt.datetime) -> Q:
    """Meant to go, and long the same for everybody: the code can do without it."""
    same = Q(everyone__isnull=False) | Q(enabled=False) | Q(percent=100, rules=None)
    old = Q(modified__lt=now - UNUSED_AFTER)
    return Q(purpose__in=_PASSING) & same & old & Q(variants=None)


def stale(now: dt.datetime) -> Q:
    return expired(now) | unused(now) | decided(now)


def stale_names(flags: list[Flag], now: dt.datetime) -> dict[int, str]:
    """Why each stale one of `flags` is, by its id."""
    reasons = (("expired", expired), ("not used", unused), ("decided", decided))
    ids = [flag.pk for flag in flags]
    found: dict[int, str] = {}
    for text, test in reversed(reasons):
        rows = Flag.objects.filter(test(now), pk__in=ids)
        found |= dict.fromkeys(rows.values_list("pk", flat=True), text)
    return found
