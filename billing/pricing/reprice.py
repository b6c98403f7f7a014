"""Re-prices requests that were billed at a placeholder price, by corrections."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from billing import config
from billing.config import Rate
from billing.models import Usage
from billing.pricing import corrections
from billing.pricing.corrections import PriceCorrection
from valuecanvas.core import money
from valuecanvas.core.audit.record import record

log = structlog.get_logger("billing.ledger")

AT_A_TIME = 100
Pair = tuple[str, str]  # (provider, upstream model)
Rates = dict[Pair, tuple[Rate, ...]]


@dataclass(slots=True)
class RepriceLine:
    """The requests of one upstream model. Amounts are micro-dollars.

    `delta` is what callers are charged on top (below zero: given back), `provider_delta`
    the change of the provider's cost. `uncharged` did not fit into a budget.
    """

    provider: str
    upstream_model: str
    requests: int = 0
    billed: int = 0
    delta: int = 0
    provider_delta: int = 0
    uncharged: int = 0

    def add(self, change: PriceCorrection) -> None:
        self.requests += 1
        self.billed += change.billed
        self.delta += change.delta
        self.provider_delta += change.provider_delta
        self.uncharged += change.wanted - change.delta


@dataclass(slots=True)
class Result:
    """What was, or would be, corrected; and the requests without a known price."""

    lines: dict[Pair, RepriceLine] = field(default_factory=dict)
    waiting: dict[Pair, int] = field(default_factory=dict)
    more: bool = False

    @property
    def requests(self) -> int:
        return sum(line.requests for line in self.lines.values())

    @property
    def delta(self) -> int:
        return sum(line.delta for line in self.lines.values())

    def add(self, change: PriceCorrection) -> None:
        pair = change.row.provider, change.row.upstream_model
        self.lines.setdefault(pair, RepriceLine(*pair)).add(change)


def preview(pairs: Iterable[Pair] | None = None) -> Result:
    """What `apply` would do if no budget limited it; nothing is written."""
    rates = _rates(pairs)
    result = Result(waiting=_waiting(rates, pairs))
    for rows in _candidates(rates):
        for row in rows.iterator(chunk_size=2000):
            change = _change(row, rates)
            change.delta = change.wanted
            result.add(change)
    return result


def apply(pairs: Iterable[Pair] | None = None, *, most: int | None = None) -> Result:
    """Book the corrections in small transactions; stop at about `most` requests.

    Each request is corrected once, even if several processes run this. Call it outside
    any transaction.
    """
    rates = _rates(pairs)
    result = Result()
    lists = (some for rows in _candidates(rates) for some in _batches(rows))
    for some in lists:
        for change in corrections.book([_change(row, rates) for row in some]):
            result.add(change)
        if most is not None and result.requests >= most:
            break
    result.waiting = _waiting(rates, pairs)
    result.more = any(rows.exists() for rows in _candidates(rates))
    log.info("ledger.repriced", requests=result.requests, delta_micro_usd=result.delta)
    if result.requests:
        charged = str(money.to_usd(result.delta))
        detail = {"requests": result.requests, "charged_usd": charged}
        record("ledger.repriced", detail=detail)
    return result


def _unpriced(pairs: Iterable[Pair] | None = None) -> QuerySet[Usage]:
    corrected = Usage.objects.filter(corrects=OuterRef("pk"))
    rows = Usage.objects.filter(
        ~Exists(corrected),
        marks__contains=["unpriced"],
        cached=False,
        day__gte=_books_open_from(),
    ).exclude(status=corrections.STATUS)
    if pairs is not None:
        names = Q(pk__in=[])
        for provider, model in pairs:
            names |= Q(provider=provider, upstream_model=model)
        rows = rows.filter(names)
    return rows


def _books_open_from() -> dt.date:
    """The first day whose counters cannot have been purged."""
    return timezone.now().date() - dt.timedelta(days=settings.USAGE_RETENTION_DAYS - 1)


def _rates(pairs: Iterable[Pair] | None) -> Rates:
    """The prices of the models that have requests without one."""
    found = _unpriced(pairs).order_by().values_list("provider", "upstream_model")
    asked = set(found.distinct())
    known = config.rates_by_model(config.load_prices())
    return {pair: rates for pair, rates in known.items() if pair in asked}


def _candidates(rates: Rates) -> Iterator[QuerySet[Usage]]:
    """The requests that now have a price, oldest first, one queryset per model."""
    for pair, dated in sorted(rates.items()):
        rows = _unpriced([pair]).filter(created_at__gte=dated[-1].effective_from)
        yield rows.order_by("created_at", "pk")


def _batches(rows: QuerySet[Usage]) -> Iterator[list[Usage]]:
    """`rows` in small lists; each is read after the one before it is booked."""
    some = list(rows[:AT_A_TIME])
    while some:
        yield some
        last = some[-1]
        later = Q(created_at__gt=last.created_at) | Q(pk__gt=last.pk)
        # The second condition is for the index: without it each list reads all before.
        some = list(rows.filter(later, created_at__gte=last.created_at)[:AT_A_TIME])


def _waiting(rates: Rates, pairs: Iterable[Pair] | None) -> dict[Pair, int]:
    """How many requests have no price in force at their time, by model."""
    rows = _unpriced(pairs)
    for pair, dated in rates.items():
        provider, model = pair
        rows = rows.exclude(
            provider=provider,
            upstream_model=model,
            created_at__gte=dated[-1].effective_from,
        )
    counted = rows.order_by().values_list("provider", "upstream_model")
    return {
        (provider, model): count
        for provider, model, count in counted.annotate(count=Count("pk"))
    }


def _change(row: Usage, rates: Rates) -> PriceCorrection:
    dated = rates[row.provider, row.upstream_model]
    rate = next(one for one in dated if one.effective_from <= row.created_at)
    cost = rate.cost(
        row.prompt_tokens,
        row.completion_tokens,
        row.cached_tokens,
        row.cache_write_tokens,
    )
    billed = money.to_micros(row.cost_usd)
    # A refunded request costs nothing at any price.
    owed = 0 if "refunded" in row.marks else cost
    paid = money.to_micros(row.provider_cost_usd)
    return PriceCorrection(row, billed, owed - billed, cost - paid)
