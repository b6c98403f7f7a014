"""The breakers for people: every route's, as it stands, with what operators said."""

import asyncio
import datetime as dt
from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone

from llm.breaker import report
from llm.breaker.board import Board
from llm.breaker.types import BreakerState, Event, Name
from llm.models import BreakerOverride
from tests.fixtures_billing import make_model, make_provider, make_route
from valuecanvas.core.storage.store import Store
from valuecanvas.embedded.processes import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_prefix(settings: Any, prefix: str) -> None:
    settings.REDIS_PREFIX = prefix


def tell(name: Name, *events: Event, wait_s: float = 0.0) -> None:
    async def told() -> None:
        store = Store(configured.REDIS_URL, timeout_s=5, prefix=configured.REDIS_PREFIX)
        board = Board(store, lambda *_: None)
        for event in events:
            await board.report(name, await board.acquire(name, 1), event, wait_s)
        await store.close()

    asyncio.run(told())


def force(name: str, model: str, state: str, *, hours: int = 1) -> None:
    BreakerOverride.objects.create(
        provider_id=name,
        upstream_model=model,
        state=state,
        reason="by hand",
        expires_at=timezone.now() + dt.timedelta(hours=hours),
    )


def test_states__routes_of_two_providers__are_told_once_each_in_order() -> None:
    a, b = make_provider("a"), make_provider("b")
    for _ in range(2):
        make_route(make_model(), b, upstream_model="x")
    make_route(make_model(), a, upstream_model="y")
    tell(Name("b", "x"), *[Event.FAILURE] * 5)
    closed, opened = report.states()
    assert (closed.provider, closed.upstream_model) == ("a", "y")
    assert (closed.state, closed.retry_at, closed.throttled_until) == (
        BreakerState.CLOSED,
        None,
        None,
    )
    assert (opened.state, opened.reason) == (BreakerState.OPEN, "5 failures in a row")
    assert (opened.completed, opened.failures) == (5, 5)
    assert opened.retry_at is not None
    assert opened.retry_at > timezone.now()


def test_states__throttled__tells_until_when() -> None:
    make_route(make_model(), make_provider("a"), upstream_model="x")
    tell(Name("a", "x"), Event.THROTTLED, wait_s=30)
    (state,) = report.states()
    assert state.throttled_until is not None
    assert state.throttled_until > timezone.now()


def test_states__forced_by_an_operator__says_so_while_it_lasts() -> None:
    provider = make_provider("a")
    for model in "xyz":
        make_route(make_model(), provider, upstream_model=model)
    force("a", "", "forced_open")
    force("a", "y", "forced_closed")
    force("a", "z", "forced_closed", hours=-1)
    force(make_provider("b").key, "", "forced_closed")
    states = report.states()
    assert [one.state for one in states] == [
        BreakerState.FORCED_OPEN,
        BreakerState.FORCED_CLOSED,
        BreakerState.FORCED_OPEN,
    ]
    assert {one.reason for one in states} == {"by hand"}


def test_states__redis_away__is_unreadable(settings: Any) -> None:
    make_route()
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}"
    with pytest.raises(report.UnreadableReport):
        report.states()
