"""What a process leaves on disk, when, and what one without a database makes of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from structlog.testing import capture_logs

from billing.auth.callers import Callers
from billing.models import ApiKey
from flags import services as flag_services
from llm.configuration import disk_writer as module
from llm.configuration import last_known
from llm.configuration.disk_writer import DiskWriter
from llm.configuration.live import LiveConfig
from prompts import services
from tests.faults.cold_flags import reading
from tests.fixtures_billing import make_api_key, make_tier
from tests.flags.rows import ADA, make_flag
from tests.prompts.rows import ANN, make_prompt
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import Unavailable
from valuecanvas.core.metrics import SNAPSHOT_LOADED
from valuecanvas.core.storage import disk_snapshot
from valuecanvas.embedded.processes import free_port

READS = ["flags:evaluate", "prompts:read"]


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path / "snapshot"


@pytest.fixture
def config(db_thread: DbThread) -> LiveConfig:
    return LiveConfig(db_thread, lambda changes: None)


@pytest.fixture
def writer(db_thread: DbThread, config: LiveConfig) -> DiskWriter:
    return DiskWriter(db_thread, config)


async def make_reader(db_thread: DbThread, writer: DiskWriter) -> tuple[ApiKey, str]:
    """A key that has read something, and its text."""
    row, text = await db_thread.run(make_api_key, scopes=READS)
    writer.note(await Callers(db_thread).authenticate(f"Bearer {text}"))
    return row, text


def written(name: str = disk_snapshot.GATEWAY) -> float:
    """When the file was written; 0 if never."""
    saved = disk_snapshot.load(name=name)
    return saved.saved_at if saved else 0


async def test_look__not_loaded_yet__writes_nothing(
    writer: DiskWriter, folder: Path
) -> None:
    assert await writer.save()
    assert not folder.exists()


async def test_look__first__writes_all_that_is_read_without_admission(
    writer: DiskWriter, config: LiveConfig, db_thread: DbThread
) -> None:
    await db_thread.run(make_flag, "a-flag", percent=100)
    prompt = await db_thread.run(make_prompt, "Hello.", key="a-prompt", production=1)
    row, text = await make_reader(db_thread, writer)
    now = await config.refresh()

    assert await writer.save()

    found = last_known.load()
    assert found is not None
    assert found.epoch == now.epoch
    assert "a-flag" in found.flags.flags
    assert found.prompt_library.prompts["a-prompt"].id == str(prompt.pk)
    assert found.keys.authenticate(f"Bearer {text}", None).key == row.prefix


async def test_look__nothing_has_changed__writes_nothing(
    writer: DiskWriter, config: LiveConfig, db_thread: DbThread
) -> None:
    await make_reader(db_thread, writer)
    await config.refresh()
    await writer.save()
    before = written(), written(last_known.KEYS)
    assert 0 not in before

    await writer.save()

    assert (written(), written(last_known.KEYS)) == before


async def test_look__other_parts_have_changed__writes_only_the_keys(
    writer: DiskWriter, config: LiveConfig, db_thread: DbThread
) -> None:
    await make_reader(db_thread, writer)
    await config.refresh()
    await writer.save()
    before = written(), written(last_known.KEYS)

    await db_thread.run(make_tier)
    await config.refresh()
    await writer.save()

    assert written() == before[0]
    assert written(last_known.KEYS) > before[1]


async def test_look__after_a_change__has_it(
    writer: DiskWriter, config: LiveConfig, db_thread: DbThread
) -> None:
    flag = await db_thread.run(make_flag)
    prompt = await db_thread.run(make_prompt, "1", "2", production=1)
    await config.refresh()
    await writer.save()

    await db_thread.run(lambda: flag_services.kill(flag, actor=ADA))
    await db_thread.run(
        lambda: services.move_label(prompt, "production", 2, expected=1, actor=ANN)
    )
    await config.refresh()
    await writer.save()

    found = last_known.load()
    assert found is not None
    assert found.flags.flags[flag.name].kill is not None
    assert found.prompt_library.prompts[prompt.key].labels == {"production": 2}


async def test_look__idle_for_long__learns_what_has_changed(
    writer: DiskWriter,
    config: LiveConfig,
    db_thread: DbThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await config.refresh()
    await writer.save()
    flag = await db_thread.run(make_flag)
    await writer.save()
    assert flag.name not in last_known.load().flags.flags

    monkeypatch.setattr(module, "SAVE_EVERY_S", 0)
    await writer.save()

    assert flag.name in last_known.load().flags.flags


async def test_keys__of_other_processes__stay_until_they_are_worth_nothing(
    writer: DiskWriter, config: LiveConfig, db_thread: DbThread
) -> None:
    theirs, _ = await make_reader(db_thread, writer)
    await config.refresh()
    await writer.save()

    restarted = DiskWriter(db_thread, config)
    ours, _ = await make_reader(db_thread, restarted)
    await restarted.save()
    assert last_known.saved_prefixes() == [ours.prefix, theirs.prefix]

    await db_thread.run(lambda: theirs.delete())
    await config.refresh()
    await restarted.save()
    assert last_known.saved_prefixes() == [ours.prefix]


async def test_keys__of_a_token__are_none(
    writer: DiskWriter, config: LiveConfig, db_thread: DbThread
) -> None:
    row, _ = await db_thread.run(make_api_key)
    user = await db_thread.run(lambda: row.customer.user_id)
    writer.note(await Callers(db_thread).load_user(user))
    await config.refresh()
    await writer.save()
    assert written(last_known.KEYS) == 0


async def test_look__disk_takes_nothing__is_told_and_tried_again(
    writer: DiskWriter, config: LiveConfig, folder: Path
) -> None:
    folder.touch()
    await config.refresh()
    assert not await writer.save()
    folder.unlink()
    assert await writer.save()
    assert written() > 0


async def test_work__database_away_for_a_while__writes_once_it_is_back(
    writer: DiskWriter,
    config: LiveConfig,
    db_thread: DbThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CHECK_EVERY_S", 0.01)
    monkeypatch.setattr(module, "AWAY_S", 0.01)
    await config.refresh()
    with monkeypatch.context() as away, capture_logs() as logs:
        away.setitem(connections.databases["default"], "PORT", free_port())
        await db_thread.run(forget_connection)
        writer.start()
        await until(lambda: len(logs) > 2)
        assert {one["event"] for one in logs} == {"keeper.not_saved"}
        assert written() == 0
    await db_thread.run(forget_connection)
    await until(lambda: written() > 0)
    await writer.stop()


async def test_recall__something_saved__is_served_until_the_database_is_back(
    writer: DiskWriter, config: LiveConfig, db_thread: DbThread
) -> None:
    await db_thread.run(make_flag, "a-flag")
    await config.refresh()
    await writer.save()

    cold = LiveConfig(db_thread, lambda changes: None)
    await cold.recall()

    assert not cold.loaded
    assert cold.last_known is not None
    assert "a-flag" in cold.last_known.flags.flags
    assert reading(SNAPSHOT_LOADED) == cold.last_known.saved_at == written()
    await cold.refresh()
    assert cold.loaded
    assert cold.last_known is None
    assert reading(SNAPSHOT_LOADED) > written()


@pytest.mark.parametrize("saved", [None, {}, {"flag": {}}, {"flag": [], "prompt": 1}])
async def test_recall__nothing_to_be_believed__is_none(
    config: LiveConfig, saved: dict[str, Any] | None
) -> None:
    if saved is not None:
        disk_snapshot.save(7, saved)
    with capture_logs() as logs:
        await config.recall()
    assert config.last_known is None
    assert [one["log_level"] for one in logs] == ["warning"]


async def test_recall__keys_not_understood__is_the_rest(
    writer: DiskWriter, config: LiveConfig, db_thread: DbThread
) -> None:
    _, text = await make_reader(db_thread, writer)
    await config.refresh()
    await writer.save()
    disk_snapshot.save(7, {last_known.KEYS: {"a": {}}}, name=last_known.KEYS)

    cold = LiveConfig(db_thread, lambda changes: None)
    await cold.recall()

    assert cold.last_known is not None
    with pytest.raises(Unavailable):
        cold.last_known.keys.authenticate(f"Bearer {text}", None)


def forget_connection() -> None:
    connections.close_all()
    del connections["default"]


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not look():
            await asyncio.sleep(0.01)
