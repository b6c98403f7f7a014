"""Reads the breakers from Redis, for pages and commands."""

import datetime as dt
from dataclasses import dataclass

import redis
from django.conf import settings
from django.utils import timezone

from llm.breaker.board import SCRIPT, parse_view, redis_key
from llm.breaker.types import BreakerState, BreakerView, Name
from llm.configuration.model_facts import OverrideFacts, load_overrides, load_routes


class UnreadableReport(Exception):
    """Redis did not answer."""


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """The state of one breaker."""

    provider: str
    upstream_model: str
    state: BreakerState
    reason: str
    completed: int
    failures: int
    retry_at: dt.datetime | None
    throttled_until: dt.datetime | None


def states() -> list[BreakerStatus]:
    """Every breaker that a route uses. Raises UnreadableReport."""
    pairs = {(route.provider, route.upstream_model) for route in load_routes().values()}
    now = timezone.now()
    overrides = [one for one in load_overrides().values() if one.expires_at > now]
    views = _read_views([Name(*pair) for pair in sorted(pairs)])
    return [_state(name, view, now, overrides) for name, view in views]


def _read_views(names: list[Name]) -> list[tuple[Name, BreakerView]]:
    client = redis.from_url(
        settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1
    )
    try:
        with client, client.pipeline(transaction=False) as asked:
            # In one round trip: a slow Redis is waited for once.
            for name in names:
                key = redis_key(settings.REDIS_PREFIX, name)
                asked.eval(SCRIPT.source, 1, key, "look")
            views = asked.execute()
            return [
                (name, parse_view(view))
                for name, view in zip(names, views, strict=True)
            ]
    except redis.RedisError as error:
        raise UnreadableReport(type(error).__name__) from error


def _state(
    name: Name, view: BreakerView, now: dt.datetime, overrides: list[OverrideFacts]
) -> BreakerStatus:
    state, reason = view.state, view.reason
    for one in overrides:
        if one.provider == name.provider and one.upstream_model in ("", name.model):
            state, reason = BreakerState(one.state), one.reason
    return BreakerStatus(
        name.provider,
        name.model,
        state,
        reason,
        view.completed,
        view.failures,
        _at(now, view.retry_ms),
        _at(now, view.throttled_ms),
    )


def _at(now: dt.datetime, wait_ms: int) -> dt.datetime | None:
    return now + dt.timedelta(milliseconds=wait_ms) if wait_ms else None
