"""Endpoints of scheduled changes."""

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db.models import QuerySet

from flags import services
from flags.api import access
from flags.api.access import KILL, READ, WRITE, FlagEndpoint
from flags.api.shapes import GivenChange, GivenRamp, ShownFlagChange
from flags.models import ChangeKind, ScheduledChange
from valuecanvas.core.api.access import check
from valuecanvas.core.errors import NotFound

flag_operation = partial(access.flag_operation, answer=ShownFlagChange)
flag_change = partial(access.flag_change, answer=ShownFlagChange)


class Changes(FlagEndpoint):
    """Lists pending, applied, cancelled and failed changes, newest first; schedules one."""

    @flag_operation(
        "listFlagChanges", "Scheduled changes of a flag", READ, paged_by="-id"
    )
    def get(self) -> "QuerySet[ScheduledChange]":
        return ScheduledChange.objects.filter(flag=self.flag)

    @flag_change(
        "scheduleFlagChange", "Schedule a change", WRITE, body=GivenChange, status=201
    )
    def post(self, asked: dict[str, Any]) -> ScheduledChange:
        if asked["kind"] == ChangeKind.KILL:
            check(self.request, KILL)
        return services.schedule(
            self.flag,
            asked["kind"],
            at=asked["at"],
            payload=asked.get("payload"),
            **self.why(asked),
        )


class ChangeDetail(FlagEndpoint):
    """One pending change."""

    @flag_change("cancelFlagChange", "Cancel a scheduled change", WRITE, answer=None)
    def delete(self) -> None:
        rows = ScheduledChange.objects.filter(flag=self.flag, pk=self.kwargs["number"])
        change = rows.select_related("flag").first()
        if change is None:
            raise NotFound("The flag has no such change.", param="number")
        services.cancel(change, actor=self.actor)


class Ramp(FlagEndpoint):
    """Moves the percentage in steps, such as 5 points a day, until it reaches its goal."""

    @flag_change(
        "rampFlag", "Roll out in steps", WRITE, body=GivenRamp, many=True, status=201
    )
    def post(self, asked: dict[str, Any]) -> Sequence[ScheduledChange]:
        return services.ramp(
            self.flag,
            to=asked["to"],
            step=asked["step"],
            every=dt.timedelta(minutes=asked["every_minutes"]),
            start=asked["start"],
            **self.why(asked),
        )
