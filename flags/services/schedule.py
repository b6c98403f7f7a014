"""Scheduled changes: create, cancel, apply when due."""

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Unpack

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from flags import guard
from flags.actor import FlagActor
from flags.documents import document, limits
from flags.documents.integrity import variants
from flags.models import ChangeKind, ChangeState, Flag, ScheduledChange
from flags.models.event import FlagAction
from flags.services.change import ChangedBy, FlagChange, flag_change
from flags.services.rollout import check_weights, put_percent, put_weights
from valuecanvas.core.db import locks
from valuecanvas.core.errors import Conflict
from valuecanvas.core.ids import uuid7

log = structlog.get_logger("flags.schedule")

# When, which kind, its payload.
Steps = Sequence[tuple[dt.datetime, str, Mapping[str, Any]]]
_ACTIONS = {
    ChangeKind.SET_PERCENT: FlagAction.PERCENT,
    ChangeKind.ENABLE: FlagAction.ENABLED,
    ChangeKind.DISABLE: FlagAction.DISABLED,
    ChangeKind.SET_WEIGHTS: FlagAction.WEIGHTS,
    ChangeKind.KILL: FlagAction.KILLED,
}

# These only switch the flag off.
_SAFE = (ChangeKind.DISABLE, ChangeKind.KILL)


def schedule(
    flag: Flag,
    kind: str,
    *,
    at: dt.datetime,
    payload: Mapping[str, Any] | None = None,
    **by: Unpack[ChangedBy],
) -> ScheduledChange:
    """Schedule a change of `kind` at the future time `at`."""
    steps: Steps = [(at, kind, payload or {})]
    [made] = _create(flag, lambda _: steps, **by)
    return made


def ramp(
    flag: Flag,
    *,
    to: Decimal | float | str,
    step: Decimal | float | str,
    every: dt.timedelta,
    start: dt.datetime,
    **by: Unpack[ChangedBy],
) -> list[ScheduledChange]:
    """Move the percentage to `to` by `step` points at `start`, then at each `every`."""
    goal, stride = document.percent(to, "to"), document.percent(step, "step")

    def steps(locked: Flag) -> Steps:
        shares = _shares(locked.percent or Decimal(0), goal, stride)
        try:
            times = [start + every * number for number in range(len(shares))]
        except OverflowError:
            raise ValidationError(
                {"start": "The ramp would end after the year 9999."}
            ) from None
        return [
            (at, ChangeKind.SET_PERCENT, {"percent": str(share)})
            for at, share in zip(times, shares, strict=True)
        ]

    if every <= dt.timedelta(0):
        raise ValidationError({"ramp": "A ramp needs time between its steps."})
    return _create(flag, steps, ramp=str(uuid7()), **by)


def _shares(now: Decimal, goal: Decimal, stride: Decimal) -> list[Decimal]:
    """The percentages from `now` up or down to `goal`."""
    if not stride or goal == now:
        raise ValidationError({"ramp": "A ramp needs another goal, and a step."})
    count = math.ceil(abs(goal - now) / stride)
    if count > limits.PENDING:
        raise ValidationError(
            {"ramp": f"A ramp has at most {limits.PENDING} steps; these are {count:,}."}
        )
    signed = stride if goal > now else -stride
    return [now + signed * number for number in range(1, count)] + [goal]


def cancel(change: ScheduledChange, *, actor: FlagActor, reason: str = "") -> Flag:
    """Cancel a pending change. Raises Conflict if it is not pending any more."""
    return _cancel(change.flag, [change.pk], actor=actor, reason=reason)


def cancel_ramp(
    flag: Flag, ramp_id: str, *, actor: FlagActor, reason: str = ""
) -> Flag:
    """Cancel the pending steps of a ramp. Raises Conflict without any."""
    steps = flag.schedule.filter(ramp=ramp_id, state=ChangeState.PENDING)
    return _cancel(
        flag, list(steps.values_list("pk", flat=True)), actor=actor, reason=reason
    )


def apply_due(now: dt.datetime | None = None) -> int:
    """Apply due changes to their flags, in their order; the number of changes.

    After an outage all missed changes are applied. Safe in several processes.
    """
    done = 0
    while _apply_next(now or timezone.now()):
        done += 1
    return done


def _create(
    flag: Flag,
    steps: Callable[[Flag], Steps],
    *,
    ramp: str = "",
    **by: Unpack[ChangedBy],
) -> list[ScheduledChange]:
    with flag_change(flag, FlagAction.SCHEDULED, **by) as change:
        actor = by["actor"]
        _refuse_inactive(change.flag)
        if ramp and change.flag.schedule.filter(
            state=ChangeState.PENDING, kind=ChangeKind.SET_PERCENT
        ):
            raise ValidationError({"ramp": "Cancel the scheduled percentages first."})
        rows = []
        for number, (at, kind, payload) in enumerate(steps(change.flag), start=1):
            _check(change.flag, at, kind, payload)
            rows.append(
                ScheduledChange(
                    flag=change.flag,
                    at=at,
                    kind=kind,
                    payload=dict(payload),
                    ramp=ramp,
                    step=number if ramp else 0,
                    reason=by.get("reason", ""),
                    created_by=actor.user,
                    created_by_name=actor.name,
                )
            )
        _refuse_many(change.flag, len(rows))
        if any(one.kind not in _SAFE for one in rows):
            guard.check_planned(change.before, actor)
        made: list[ScheduledChange] = ScheduledChange.objects.bulk_create(rows)
        change.always = True
        change.details = {
            "changes": [describe_scheduled(one) for one in made],
            "ramp": ramp,
        }
    return made


def _refuse_many(flag: Flag, more: int) -> None:
    pending = flag.schedule.filter(state=ChangeState.PENDING).count()
    if pending + more > limits.PENDING:
        raise ValidationError(
            f"At most {limits.PENDING} changes of a flag are scheduled at a time; "
            f"{pending} are already. Cancel some first."
        )


def describe_scheduled(one: ScheduledChange) -> dict[str, Any]:
    """A scheduled change for the details of an event."""
    return {
        "id": one.pk,
        "at": one.at.isoformat(),
        "kind": one.kind,
        "payload": one.payload,
    }


def _refuse_inactive(flag: Flag) -> None:
    for done in ("archived", "killed"):
        if getattr(flag, done):
            raise ValidationError({"name": f"The flag is {done}."})


def _check(flag: Flag, at: dt.datetime, kind: str, payload: Mapping[str, Any]) -> None:
    if kind not in ChangeKind.values:
        known = ", ".join(ChangeKind.values)
        raise ValidationError({"kind": f"The kind must be one of {known}."})
    if at.tzinfo is None or at <= timezone.now():
        raise ValidationError({"at": "This must be in the future, with a time zone."})
    check_payload(flag, kind, payload)


def check_payload(flag: Flag, kind: str, payload: Any) -> None:
    """Check what a change of a known `kind` sets. Raises ValidationError by field."""
    wanted = {"set_percent": {"percent"}, "set_weights": {"weights"}}.get(kind, set())
    if not isinstance(payload, Mapping) or payload.keys() != wanted:
        text = (
            f"It has to hold {', '.join(wanted)}." if wanted else "It has to be empty."
        )
        raise ValidationError({"payload": text})
    if kind == ChangeKind.SET_PERCENT:
        document.percent(payload["percent"], "payload.percent")
    if kind == ChangeKind.SET_WEIGHTS:
        check_weights(payload["weights"], variants(flag), "payload.weights")
        if sum(payload["weights"].values()) > 10_000:
            raise ValidationError({"payload": "The weights add up to more than 100 %."})


def _cancel(flag: Flag, ids: Sequence[int], *, actor: FlagActor, reason: str) -> Flag:
    with flag_change(
        flag, FlagAction.CANCELLED, actor=actor, reason=reason, checked=False
    ) as change:
        pending = ScheduledChange.objects.filter(
            pk__in=ids, flag=change.flag, state=ChangeState.PENDING
        )
        change.details = {"changes": [describe_scheduled(one) for one in pending]}
        if not pending.update(state=ChangeState.CANCELLED, applied_at=timezone.now()):
            raise Conflict("The change is not pending any more.")
        change.always = True
    return change.flag


def _apply_next(now: dt.datetime) -> bool:
    """Apply one due change, if there is one; one at a time in all processes."""
    with transaction.atomic():
        locks.hold("flags.schedule")
        due = ScheduledChange.objects.filter(state=ChangeState.PENDING, at__lte=now)
        one = due.order_by("at", "pk").select_related("flag", "created_by").first()
        if one is None:
            return False
        try:
            with transaction.atomic():
                _apply(one)
        except ValidationError as error:
            _mark_failed(one, " ".join(error.messages))
    return True


def _apply(one: ScheduledChange) -> None:
    actor = _actor(one)
    action = _ACTIONS[ChangeKind(one.kind)]
    with flag_change(one.flag, action, actor=actor, reason=one.reason) as change:
        # It may have been cancelled while this waited for the lock.
        if _close(one, ChangeState.APPLIED):
            _put(change, one, actor)
            change.always = True
            change.details["change"] = describe_scheduled(one)


def _actor(one: ScheduledChange) -> FlagActor:
    """Its author, whose rights were checked when it was scheduled."""
    name = f"schedule of {one.created_by_name}"[:200]
    return FlagActor(name, one.created_by, trusted=True)


def _put(change: FlagChange, one: ScheduledChange, actor: FlagActor) -> None:
    if one.kind == ChangeKind.SET_PERCENT:
        put_percent(change, one.payload["percent"])
    elif one.kind == ChangeKind.SET_WEIGHTS:
        put_weights(change, one.payload["weights"])
    elif one.kind == ChangeKind.KILL:
        change.flag.killed_at = timezone.now()
        change.flag.killed_by, change.flag.killed_reason = actor.name, one.reason
        change.cancel_pending()
    else:
        change.flag.enabled = one.kind == ChangeKind.ENABLE


def _mark_failed(one: ScheduledChange, error: str) -> None:
    log.warning("flags.change_failed", flag=one.flag.name, change=one.pk, error=error)
    actor = _actor(one)
    with flag_change(
        one.flag, FlagAction.FAILED, actor=actor, reason=error, checked=False
    ) as change:
        if _close(one, ChangeState.FAILED, error):
            change.always = True
            change.details["change"] = describe_scheduled(one)


def _close(one: ScheduledChange, to: ChangeState, error: str = "") -> bool:
    pending = ScheduledChange.objects.filter(pk=one.pk, state=ChangeState.PENDING)
    return bool(pending.update(state=to, applied_at=timezone.now(), error=error))
