"""Settles reservations of dead processes: they are billed by their recorded progress."""

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import structlog
from django.db.models import Q, QuerySet
from django.utils import timezone

from billing.budget_scopes import CUSTOMER, KEY
from billing.ledger import Admitted, Charge, Claim, Party, Settle, commit_now
from billing.ledger.sanitize import sanitize_item
from billing.ledger.sql import CHOSEN
from billing.models import Reservation
from valuecanvas.core import money
from valuecanvas.core.db import sqlstate

log = structlog.get_logger("billing.reaper")
AT_A_TIME = 500
# A live process settles its own requests. This many seconds past its lease, a reservation
# is settled here even if its process is alive.
LOST_S = 3600
_COLUMNS = ("user_id", "model", "endpoint", "trace_id")


@dataclass(frozen=True, slots=True)
class KnownProgress:
    """The recorded progress of an open request: its route, the tokens passed on, and
    whether they were the whole answer.
    """

    route: int
    tokens: int
    complete: bool
    source: str


@dataclass(frozen=True, slots=True)
class AbandonedCall:
    """What the dead process of `journal` left open: the number of reservations, their
    subjects of minute limits, and their routes (provider, model).
    """

    journal: str
    ended: int
    subjects: AbstractSet[str]
    routes: AbstractSet[tuple[str, str]]


# (number of the route, tokens passed on, whether they were all) of each request that a
# process sent upstream.
ProgressById = Mapping[uuid.UUID, tuple[int, int, bool]]


def _unknown(journal: str) -> ProgressById | None:
    return None


def reap(
    living: Collection[str] = (),
    last_known: Callable[[str], ProgressById | None] = _unknown,
) -> int:
    """Settle every reservation past its lease. Returns how many this call settled.

    Reservations of `living` processes (names of journals) are skipped. The bill is the
    prompt's estimate plus the progress that `last_known` reads from the journal. What is
    not in the journal was never sent, or withdrawn, and is refunded. A second process
    that settles the same reservation at the same time does no harm.
    """
    ended = 0
    while True:
        overdue = list(_overdue(living)[:AT_A_TIME])
        known = {name: last_known(name) for name in {*map(_journal, overdue)} if name}
        items = (_settlement(x, _progress(x, known.get(_journal(x)))) for x in overdue)
        now_ended = _commit(items)
        ended += now_ended
        if len(overdue) < AT_A_TIME or not now_ended:
            return ended


def _overdue(living: Collection[str]) -> QuerySet[Reservation]:
    now = timezone.now()
    spared = Q(
        facts__journal__in=list(living),
        lease_until__gte=now - dt.timedelta(seconds=LOST_S),
    )
    rows = Reservation.objects.filter(lease_until__lt=now).order_by("lease_until")
    return rows.exclude(spared) if living else rows


def _journal(row: Reservation) -> str:
    return str(row.facts.get("journal") or "")


def _progress(row: Reservation, progress: ProgressById | None) -> KnownProgress | None:
    """The progress to bill; `progress` is None if there is no journal to read."""
    if progress is None:
        return KnownProgress(0, 0, False, "reaper")
    found = progress.get(row.id)
    return KnownProgress(*found, source="journal") if found else None


def settle_journal(journal: str, progress: ProgressById) -> AbandonedCall:
    """Settle what the dead process of `journal` left open. Returns a summary.

    `progress` has the progress of each request that was sent upstream. A request never sent
    is refunded.
    """
    rows = list(Reservation.objects.filter(facts__journal=journal).order_by("id"))
    items = [_settlement(row, _progress(row, progress)) for row in rows]
    customers = {f"{CUSTOMER}{row.customer_id}" for row in rows}
    keys = {f"{KEY}{row.key}" for row in rows if row.key}
    routes = {(one[0], one[1]) for row in rows for one in row.facts.get("routes", ())}
    return AbandonedCall(journal, _commit(items), customers | keys, routes)


def _commit(items: Iterable[Settle]) -> int:
    waiting, ended = list(items), 0
    for start in range(0, len(waiting), AT_A_TIME):
        ended += _end(waiting[start : start + AT_A_TIME])
    return ended


def _end(settlements: list[Settle]) -> int:
    """Commit; how many were still open. One bad row must not keep the others."""
    try:
        answers = commit_now(settlements)
    except Exception as error:
        if not sqlstate.row_at_fault(error):
            raise
        if len(settlements) > 1:
            return sum(_end([one]) for one in settlements)
        return _end_reduced(settlements[0], error)
    return sum(1 for answer in answers if getattr(answer, "first", False))


def _end_reduced(settlement: Settle, error: Exception) -> int:
    """The row itself was refused: settle it in a reduced form, if there is one."""
    reduced = sanitize_item(settlement)
    log.error(
        "reservation.stuck" if reduced is None else "reservation.reduced",
        id=str(settlement.admitted.id),
        error=str(error).split("\n")[0],
    )
    return _end([reduced]) if isinstance(reduced, Settle) else 0


def _settlement(row: Reservation, known: KnownProgress | None) -> Settle:
    facts: dict[str, Any] = row.facts
    claim = facts.get("claim")
    return Settle(
        admitted=Admitted(
            id=row.id,
            party=_party(row),
            day=row.day,
            at=row.created_at,
            estimate=row.estimate,
            used=0,
            quota=0,
            limits=(),
        ),
        facts={
            **{name: facts.get(name, "") for name in _COLUMNS},
            **{name: facts[name] for name in CHOSEN if name in facts},
        },
        epoch=row.epoch,
        charge=_charge(row, known) if known else None,
        # Its answer is lost: the key is free for another try.
        claim=Claim(claim, "") if claim else None,
    )


def _party(row: Reservation) -> Party:
    tags = row.facts.get("tags")
    model = row.facts.get("model", "")
    found = None if tags is None else tuple(tags)
    return Party(row.customer_id, row.team, row.key, model, found)


def _charge(row: Reservation, known: KnownProgress) -> Charge:
    provider, upstream_model, input_rate, output_rate = _route(row, known)
    prompt = int(row.facts.get("prompt_tokens", 0))
    cost = money.round_cost(prompt * input_rate + known.tokens * output_rate)
    if not upstream_model:
        # Another release wrote the row: what is missing costs the whole estimate.
        cost = row.estimate
    # A job is run again by another worker, and its customer pays for that answer.
    again = bool(row.facts.get("job"))
    elapsed = timezone.now() - row.created_at
    return Charge(
        cost=0 if again else min(cost, row.estimate),
        provider_cost=cost,
        prompt_tokens=prompt,
        completion_tokens=known.tokens,
        provider=provider,
        upstream_model=upstream_model,
        status="ok" if known.complete and not again else "abandoned",
        error_code="" if known.complete and not again else "process_died",
        latency_ms=int(elapsed.total_seconds() * 1000),
        source=known.source,
        marks=("estimated", "unpriced") if _unpriced(row, known) else ("estimated",),
        refund=again,
    )


def _unpriced(row: Reservation, known: KnownProgress) -> bool:
    """Whether the route had no price of its own: then it can be re-priced later."""
    flags = row.facts.get("unpriced") or [False]
    return bool(flags[min(known.route, len(flags) - 1)])


def _route(row: Reservation, known: KnownProgress) -> tuple[str, str, int, int]:
    """The route of the request: provider, its model, and its two rates."""
    routes = row.facts.get("routes") or [["", "", 0, 0]]
    provider, model, input_rate, output_rate = routes[min(known.route, len(routes) - 1)]
    return provider, model, input_rate, output_rate
