"""Estimates the tokens of a prompt, and the cost of a request with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import orjson
from django.utils import timezone

from billing.models import Price, Tier
from llm.metering import tokens
from llm.models import Model, Route

# English has about four bytes a token; the gateway reserves more, to be safe.
BYTES = 4
MESSAGE_TOKENS = 8
MOST_ROWS = 4
MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class CostLine:
    """The cost with one model by its first route; None without a price."""

    model: str
    provider: str
    words_usd: Decimal | None
    most_usd: Decimal | None
    longest: int


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate. `size` is in bytes, `held` are the tokens that the gateway reserves.

    `lowered` are the tiers with a lower cap of the answer, each with its cap.
    """

    size: int
    tokens: int
    held: int
    lines: tuple[CostLine, ...]
    named: str = ""
    unknown: bool = False
    lowered: tuple[tuple[str, int], ...] = ()


def estimate(words: Sequence[str], *, model: str, longest: str | int | None) -> Cost:
    """Estimate messages with these texts, for `model` or for some usable models."""
    size = sum(len(text.encode("utf-8", "replace")) for text in words)
    framing = MESSAGE_TOKENS * len(words)
    count = -(-size // BYTES) + framing
    routes = _first_routes(model)
    prices = _prices(routes)
    most = _number(longest)
    lines = [_line(route, prices, count, most) for route in routes]
    return Cost(
        size=size,
        tokens=count,
        held=len(orjson.dumps(_messages(words))) + tokens.TEMPLATE_TOKENS,
        lines=tuple(lines[:MOST_ROWS]),
        named=model,
        unknown=bool(model) and not Model.objects.filter(pk=model).exists(),
        lowered=_lowered(most) if most else (),
    )


def _messages(words: Sequence[str]) -> list[dict[str, str]]:
    """The messages to measure: a request is bounded by its bytes."""
    texts = (text.encode("utf-8", "replace").decode() for text in words)
    return [{"role": "system", "content": text} for text in texts]


def _first_routes(model: str) -> list[Route]:
    """The first route of each model."""
    usable = Route.objects.filter(
        enabled=True,
        provider__enabled=True,
        model__enabled=True,
        model__kind=Model.Kind.CHAT,
    ).select_related("model", "provider")
    if model:
        usable = usable.filter(model=model)
    found: dict[str, Route] = {}
    for route in usable.order_by("model", "priority", "-weight"):
        found.setdefault(route.model_id, route)
    return list(found.values())[:MOST_ROWS]


def _prices(routes: Sequence[Route]) -> dict[tuple[str, str], Price]:
    """The prices in force."""
    rows = Price.objects.filter(
        provider__in={route.provider_id for route in routes},
        upstream_model__in={route.upstream_model for route in routes},
        effective_from__lte=timezone.now(),
    ).order_by("effective_from")
    return {(row.provider, row.upstream_model): row for row in rows}


def _line(
    route: Route,
    prices: dict[tuple[str, str], Price],
    count: int,
    longest: int | None,
) -> CostLine:
    price = prices.get((route.provider_id, route.upstream_model))
    most = min(longest or route.model.max_output_tokens, route.model.max_output_tokens)
    words = count * price.input_usd / MILLION if price else None
    return CostLine(
        model=route.model_id,
        provider=route.provider.name,
        words_usd=words,
        most_usd=words + most * price.output_usd / MILLION
        if price and words is not None
        else None,
        longest=most,
    )


def _lowered(longest: int) -> tuple[tuple[str, int], ...]:
    less = Tier.objects.filter(max_output_tokens__lt=longest)
    rows = less.order_by("max_output_tokens", "name")
    return tuple(rows.values_list("name", "max_output_tokens")[:MOST_ROWS])


def _number(text: str | int | None) -> int | None:
    digits = str(text or "")
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None
