"""The data of a flag's page: its state, schedule and history."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from flags import exposure
from flags.admin.filters import stale_names
from flags.models import ChangeState, Flag, FlagEvent, Rule, ScheduledChange
from flags.wording import words
from flags.wording.field_changes import Changed, changed_fields
from flags.wording.listing import is_expired

EVENTS, PAST = 12, 6
# Ended changes to read: more than the usual ramp has.
MOST_PAST = 100


@dataclass(frozen=True, slots=True)
class RuleLine:
    rule: Rule
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A scheduled or ended change; for a ramp, all its steps in the same state."""

    first: ScheduledChange
    text: str
    rest: tuple[tuple[ScheduledChange, str], ...] = ()

    @property
    def last(self) -> ScheduledChange:
        return self.rest[-1][0] if self.rest else self.first


@dataclass(frozen=True, slots=True)
class FlagNote:
    """An event as a sentence, with what it changed."""

    event: FlagEvent
    text: str
    tone: str
    changes: tuple[Changed, ...]


@dataclass(frozen=True, slots=True)
class FlagStatus:
    """Everything of one flag but its forms."""

    flag: Flag
    rules: tuple[RuleLine, ...]
    coming: tuple[Step, ...]
    past: tuple[Step, ...]
    events: tuple[FlagNote, ...]
    seen_at: dt.datetime | None
    expired: bool
    stale: str

    @property
    def on(self) -> bool:
        flag = self.flag
        return flag.enabled and not flag.killed and flag.everyone is not False


def status(flag: Flag, *, all_events: bool = False) -> FlagStatus:
    """Load everything with a fixed number of queries."""
    now = timezone.now()
    changes = flag.schedule.order_by("at", "pk")
    past = changes.exclude(state=ChangeState.PENDING).order_by("-applied_at", "-pk")
    events = flag.events.order_by("-id")
    some = events[:200] if all_events else events[:EVENTS]
    return FlagStatus(
        flag=flag,
        rules=tuple(
            RuleLine(one, rule_text(one)) for one in flag.rules.order_by("order")
        ),
        coming=_steps(changes.filter(state=ChangeState.PENDING)),
        past=_steps(past[:MOST_PAST])[:PAST],
        events=tuple(describe_event(one) for one in some),
        seen_at=exposure.last_seen([flag.name]).get(flag.name),
        expired=is_expired(flag, now.date()),
        stale=stale_names([flag], now).get(flag.pk, ""),
    )


def describe_event(event: FlagEvent) -> FlagNote:
    return FlagNote(
        event,
        _sentence(event),
        words.tone(event),
        tuple(changed_fields(event.before, event.after)),
    )


def _sentence(event: FlagEvent) -> str:
    """The sentence of an event, with the changes that were scheduled or cancelled."""
    planned = event.details.get("changes") or []
    if not planned:
        return words.sentence(event)
    first = words.change(planned[0]["kind"], planned[0]["payload"])
    more = f", and {len(planned) - 1} more" if len(planned) > 1 else ""
    return f"{words.sentence(event)}: {first}{more}"


def rule_text(rule: Rule) -> str:
    """The rule as a sentence."""
    names = ("conditions", "variant", "share", "enabled")
    return words.rule({name: getattr(rule, name) for name in names})


def _steps(changes: Iterable[ScheduledChange]) -> tuple[Step, ...]:
    """One step for each single change, and one for a ramp's changes in the same state."""
    alike: dict[tuple[str, str], list[tuple[ScheduledChange, str]]] = {}
    for one in changes:
        key = (one.ramp or f"alone-{one.pk}", one.state)
        alike.setdefault(key, []).append((one, words.change(one.kind, one.payload)))
    return tuple(Step(*some[0], tuple(some[1:])) for some in alike.values())


def winner(flag: Flag) -> FlagNote | None:
    """The last event: the change that won the conflict."""
    event = flag.events.order_by("-id").select_related("actor").first()
    return describe_event(event) if event else None
