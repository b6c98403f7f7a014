"""Billing's part of the configuration snapshot: tiers, budgets, prices."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils import timezone

from billing.budget_scopes import BY_KIND
from billing.ledger.types import Limit
from billing.minute_limits import NO_LIMITS, MinuteLimits
from billing.models import Budget, Price, Tier
from valuecanvas.core import money

Keys = Iterable[str] | None


@dataclass(frozen=True, slots=True)
class TierFacts:
    """What a request needs to know of a tier."""

    key: str
    name: str
    daily_requests: int
    max_output_tokens: int
    upgrade_to: str | None
    minute: MinuteLimits = NO_LIMITS
    # Does an answer from the cache take a unit of the day's quota?
    hits_take_quota: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """A dated price, in micro-dollars per million tokens."""

    provider: str
    upstream_model: str
    input: int
    cached: int
    output: int
    effective_from: dt.datetime
    # None: the price of input.
    cache_write: int | None = None

    def cost(
        self, prompt: int, completion: int, cached: int = 0, written: int = 0
    ) -> int:
        """Micro-dollars. Of `prompt`, `cached` was read from a cache, `written` to it."""
        return money.round_cost(
            (prompt - cached - written) * self.input
            + cached * self.cached
            + written * self._write
            + completion * self.output
        )

    def most(self, prompt: int, completion: int) -> int:
        """The highest possible cost in micro-dollars, however much is cached."""
        return money.round_cost(prompt * self.dearest_input + completion * self.output)

    @property
    def dearest_input(self) -> int:
        return max(self.input, self.cached, self._write)

    @property
    def _write(self) -> int:
        return self.input if self.cache_write is None else self.cache_write


def load_tiers(keys: Keys = None) -> dict[str, TierFacts]:
    """Tiers by key; with `keys`, only those of them that exist."""
    rows = Tier.objects.among(keys)
    return {
        row.key: TierFacts(
            row.key,
            row.name,
            row.daily_requests,
            row.max_output_tokens,
            row.upgrade_to_id,
            row.minute_limits,
            row.hits_take_quota,
        )
        for row in rows
    }


def load_budgets(keys: Keys = None) -> dict[str, Limit]:
    """Enabled hard budgets by id."""
    rows = Budget.objects.among(keys).filter(enabled=True, hard=True)
    return {str(row.pk): limit_of(row) for row in rows}


def limit_of(row: Budget) -> Limit:
    """The limit that a budget's row sets."""
    return Limit(
        f"{BY_KIND[row.scope].letter}:{row.scope_id}",
        row.period,
        money.to_micros(row.limit_usd),
        starts=row.starts_on,
        ends=row.ends_on,
        increase=money.to_micros(row.increase_usd),
        increase_until=row.increase_until if row.increase_usd else None,
        rollover_since=_since(row) if row.rollover else None,
    )


def _since(row: Budget) -> dt.date:
    """The day on which a budget was created: today, of one that is not saved yet."""
    return (row.created_at or timezone.now()).astimezone(dt.UTC).date()


def load_prices(keys: Keys = None) -> dict[str, Rate]:
    """Prices by id, past and future ones too."""
    rows = Price.objects.among(keys)
    return {
        str(row.pk): Rate(
            row.provider,
            row.upstream_model,
            money.rate(row.input_usd),
            money.rate(row.cached_usd),
            money.rate(row.output_usd),
            row.effective_from,
            None if row.cache_write_usd is None else money.rate(row.cache_write_usd),
        )
        for row in rows
    }


def limits_by_scope(budgets: Mapping[str, Limit]) -> dict[str, tuple[Limit, ...]]:
    """The budgets of each scope."""
    found: dict[str, tuple[Limit, ...]] = {}
    for limit in budgets.values():
        found[limit.scope] = (*found.get(limit.scope, ()), limit)
    return found


def rates_by_model(
    prices: Mapping[str, Rate],
) -> dict[tuple[str, str], tuple[Rate, ...]]:
    """The prices of each provider's model, newest first."""
    found: dict[tuple[str, str], list[Rate]] = {}
    for rate in prices.values():
        found.setdefault((rate.provider, rate.upstream_model), []).append(rate)
    return {
        key: tuple(sorted(rates, key=lambda rate: rate.effective_from, reverse=True))
        for key, rates in found.items()
    }
