"""One change of a flag: locked, compared, checked, recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from flags import guard
from flags.actor import FlagActor
from flags.documents import document, integrity, limits
from flags.documents.document import Document
from flags.models import ChangeState, Flag, FlagEvent
from flags.models.event import FlagAction
from valuecanvas.core.errors import Conflict
from valuecanvas.core.json_numbers import differ


class ChangedBy(TypedDict):
    """The keywords of every service: who changes a flag, why, and what they saw."""

    actor: FlagActor
    reason: NotRequired[str]
    # The revision that the caller saw; None: whatever it is.
    expected: NotRequired[int | None]


@dataclass
class FlagChange:
    """An open change of the locked `flag`. `details` go into the event."""

    flag: Flag
    before: Document
    details: dict[str, Any] = field(default_factory=dict)
    # Record an event even if the state of the flag does not change.
    always: bool = False

    def apply(self, changes: Document) -> None:
        """Apply edits of a document. Raises ValidationError by field."""
        document.apply(self.flag, changes, self.before)

    def cancel_pending(self, *kinds: str) -> None:
        """Cancel pending changes of `kinds`; without kinds all of them."""
        pending = self.flag.schedule.filter(state=ChangeState.PENDING)
        if kinds:
            pending = pending.filter(kind__in=kinds)
        if ids := list(pending.values_list("pk", flat=True)):
            pending.update(state=ChangeState.CANCELLED, applied_at=timezone.now())
            self.details["cancelled"] = ids


@contextmanager
def flag_change(
    flag: Flag,
    action: FlagAction,
    *,
    actor: FlagActor,
    reason: str = "",
    expected: int | None = None,
    checked: bool = True,
) -> Iterator[FlagChange]:
    """Change `flag` in the block; at the end it is saved with one event, if it differs.

    `checked` False: for changes that must not fail because of older errors in the flag.
    """
    with transaction.atomic():
        locked = lock(flag, expected)
        change = FlagChange(locked, document.state(locked))
        yield change
        if checked:
            integrity.check(locked)
        after = document.state(locked)
        if checked:
            limits.check_whole(after, change.before)
        guard.check(change.before, after, actor)
        if differ(after, change.before) or change.always:
            locked.revision += 1
            locked.save()
            record(change, action, after=after, actor=actor, reason=reason)


def record(
    change: FlagChange,
    action: FlagAction,
    *,
    after: Document,
    actor: FlagActor,
    reason: str,
) -> None:
    """Write the event of `change`."""
    FlagEvent.objects.create(
        flag=change.flag,
        flag_name=change.flag.name,
        actor=actor.user,
        actor_name=actor.name,
        action=action,
        reason=reason,
        revision=change.flag.revision,
        before=change.before,
        after=after,
        details=change.details,
    )


def _conflict(flag: Flag) -> Conflict:
    """The error that says who changed the flag last, and how."""
    last = FlagEvent.objects.filter(flag=flag).first()
    if last is None:
        return Conflict(f"The flag '{flag.name}' was changed meanwhile.")
    return Conflict(
        f"The flag '{flag.name}' was changed meanwhile: "
        f"{last.get_action_display().lower()} by {last.actor_name} at "
        f"{last.at:%Y-%m-%d %H:%M:%S} UTC.",
        extra={
            "revision": flag.revision,
            "changed_by": last.actor_name,
            "changed_at": last.at.isoformat(),
            "action": last.action,
        },
    )


def lock(flag: Flag, expected: int | None) -> Flag:
    """Lock the row of the flag until the transaction ends; the current flag.

    Raises ValidationError if it was deleted, Conflict unless it has the revision `expected`.
    """
    found: Flag | None = Flag.objects.select_for_update().filter(pk=flag.pk).first()
    if found is None:
        raise ValidationError({"name": f"The flag '{flag.name}' has been deleted."})
    if expected is not None and found.revision != expected:
        raise _conflict(found)
    return found
