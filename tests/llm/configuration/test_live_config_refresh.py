"""One process's snapshot: replaced when somebody finds it behind, never by halves."""

import asyncio
from collections.abc import Iterable

import pytest
from django.db import DatabaseError, connections

from llm.configuration.live import LiveConfig
from tests.fixtures_billing import make_tier
from valuecanvas.core.db import epoch
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.epoch import ConfigChange
from valuecanvas.embedded.processes import free_port


class Heard:
    """What `on_change` was told, and what was current when it was."""

    def __init__(self, db: DbThread) -> None:
        self.changes: list[list[ConfigChange] | None] = []
        self.tiers: list[list[str]] = []
        self.config = LiveConfig(db, self)

    def __call__(self, changes: Iterable[ConfigChange] | None) -> None:
        self.changes.append(None if changes is None else [*changes])
        if self.config.loaded:
            self.tiers.append([*self.config.current.tiers])


@pytest.fixture
def heard(db_thread: DbThread) -> Heard:
    return Heard(db_thread)


def test_current__not_loaded_yet__is_an_error(heard: Heard) -> None:
    assert not heard.config.loaded
    with pytest.raises(RuntimeError):
        _ = heard.config.current


async def test_refresh__first__loads_everything(
    heard: Heard, db_thread: DbThread
) -> None:
    await db_thread.run(make_tier, "a")
    found = await heard.config.refresh()
    assert heard.config.current is found
    assert [*found.tiers] == ["a"]
    assert heard.changes == [None]


async def test_refresh__behind__tells_of_the_changes_before_they_count(
    heard: Heard, db_thread: DbThread
) -> None:
    await heard.config.refresh()
    await db_thread.run(make_tier, "a")
    found = await heard.config.refresh(await db_thread.run(epoch.current))
    assert [*found.tiers] == ["a"]
    assert heard.changes == [None, [ConfigChange("tier", "a")]]
    assert heard.tiers == [[]]


async def test_refresh__at_the_epoch_that_was_found__asks_nobody(
    heard: Heard, db_thread: DbThread
) -> None:
    first = await heard.config.refresh()
    await db_thread.run(make_tier, "a")
    assert await heard.config.refresh(first.epoch) is first
    assert (await heard.config.refresh()).epoch == first.epoch + 1


async def test_refresh__many_find_it_behind__loads_once(
    heard: Heard, db_thread: DbThread
) -> None:
    await heard.config.refresh()
    await db_thread.run(make_tier, "a")
    now = await db_thread.run(epoch.current)
    found = await asyncio.gather(*(heard.config.refresh(now) for _ in range(50)))
    assert len({id(one) for one in found}) == 1
    assert len(heard.changes) == 2


async def test_refresh__database_goes_back_to_an_earlier_epoch__follows_it(
    heard: Heard, db_thread: DbThread
) -> None:
    def restore(value: int) -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("UPDATE core_epoch SET value = %s", [value])

    first = await heard.config.refresh()
    await db_thread.run(make_tier, "a")
    await heard.config.refresh()
    await db_thread.run(restore, first.epoch)
    assert (await heard.config.refresh(first.epoch)).epoch == first.epoch
    assert heard.changes[-1] is None


async def test_refresh__database_away__raises_and_keeps_the_old_one(
    heard: Heard, db_thread: DbThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await heard.config.refresh()
    with monkeypatch.context() as away:
        away.setitem(connections.databases["default"], "PORT", free_port())
        await db_thread.run(connections.close_all)
        with pytest.raises(DatabaseError):
            await heard.config.refresh()
    assert heard.config.current is first
