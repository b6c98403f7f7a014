"""No room for the journal: nothing is passed on unrecorded, until there is room again."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llm.journal import journal
from llm.runtime import Runtime
from tests.live.faucet import ROLE, open_faucet
from tests.live.inside import CHAT, Exchange, ask, chat_body
from tests.live.shared import said
from tests.live.wire import data_events
from tests.live.world import World

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause before the next try."""
    monkeypatch.setattr(journal, "RETRY_S", 0.0)


@contextmanager
def full_disk() -> Iterator[None]:
    """There is no room in the journal's files."""
    write = os.write

    def refuse(fd: int, data: bytes) -> int:
        if ".journal" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "write", refuse)
        yield


async def test_disk_full__requests__are_503_and_free_until_it_has_room(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok", "ok")
    with full_disk():
        for _ in range(3):
            for fields in ({}, {"stream": True}):
                answer = await ask(indoors, gateway, served.model, **fields)
                assert answer.status == 503
                assert answer.error["code"] == "journal_unavailable"
                assert answer.headers["retry-after"] == "1"
    assert indoors.counter() == (0, 0, 0)
    assert said(await ask(indoors, gateway, served.model))
    assert indoors.counter()[0] == 1
    assert indoors.reserved() == 0


async def test_disk_full__stream_under_way__ends_in_band_and_is_billed(
    indoors: World, gateway: Runtime
) -> None:
    async with open_faucet() as faucet:
        served = indoors.serve_at((faucet.url, "m"))
        body = chat_body(served.model, stream=True)
        exchange = Exchange(gateway, CHAT, body, key=indoors.key)
        running = exchange.start()
        pour = await faucet.call()
        await pour.send(ROLE)
        await pour.say("Hel")
        await exchange.until(b"Hel")
        with full_disk():
            await pour.say("lo.")
            await running
        await pour.left()
    assert b"lo." not in exchange.body
    events: list[Any] = data_events(exchange.body)
    assert events[-1]["error"]["code"] == "journal_unavailable"
    row = indoors.usage(exchange.answer.headers["x-request-id"])
    assert (row.status, row.error_code) == ("interrupted", "journal_unavailable")
    assert row.cost_usd > 0
    assert indoors.reserved() == 0
    assert indoors.counter()[0] == 1
