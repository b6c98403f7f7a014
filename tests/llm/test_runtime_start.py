"""A process's share of the gateway starts and stops whole, with or without a database."""

from typing import Any

import pytest
from django.db import connections

from llm import runtime
from llm.breaker.types import Event, Name
from llm.models import BreakerEvent
from tests.fixtures_billing import make_api_key, make_tier
from tests.fixtures_ledger import Desk
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import NotAuthenticated
from valuecanvas.core.models import Change
from valuecanvas.embedded.processes import free_port


@pytest.fixture(autouse=True)
def own_prefix(settings: Any, prefix: str) -> None:
    settings.REDIS_PREFIX = prefix


async def test_start__database_there__has_the_configuration(
    desk: Desk, db_thread: DbThread
) -> None:
    gateway = await runtime.start()
    assert gateway.config.current.epoch == desk.epoch
    admitted = await gateway.ledger.put(desk.admit())
    assert admitted.used == 1
    await gateway.stop()
    assert gateway.pool.closed


def forget_connection() -> None:
    """In one step: others use the thread, too, and may connect in between."""
    connections.close_all()
    del connections["default"]


async def test_start__database_away__starts_and_follows_when_it_is_back(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setitem(connections.databases["default"], "PORT", free_port())
        gateway = await runtime.start()
        assert not gateway.config.loaded
    await gateway.db.run(forget_connection)
    assert (await gateway.config.refresh()).epoch > 0
    await gateway.stop()


async def test_stop__breaker_has_just_opened__its_event_is_written(
    db_thread: DbThread,
) -> None:
    gateway = await runtime.start()
    name = Name("p", "m")
    leave = await gateway.board.acquire(name, 1)
    await gateway.board.report(name, leave, Event.AUTH)
    await gateway.stop()
    (event,) = await db_thread.run(lambda: [*BreakerEvent.objects.all()])
    assert str(event) == "p:m closed→open"


@pytest.mark.parametrize("known", [True, False])
async def test_config__key_gone__is_forgotten_whether_the_change_is_known_or_not(
    db_thread: DbThread, known: bool
) -> None:
    gateway = await runtime.start()
    key, text = await db_thread.run(make_api_key)
    assert (await gateway.callers.authenticate(f"Bearer {text}")).key == key.prefix
    await gateway.config.refresh()
    await db_thread.run(key.delete)
    if not known:
        await db_thread.run(lambda: Change.objects.all().delete())
        await db_thread.run(make_tier)
    await gateway.config.refresh()
    with pytest.raises(NotAuthenticated):
        await gateway.callers.authenticate(f"Bearer {text}")
    await gateway.stop()
