"""What callers and probes see of answers too large to keep, and of a read-only database."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from llm.runtime import Runtime
from tests.billing import sessions
from tests.live.inside import CHAT, Exchange, ask, chat_body
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live


async def keyed(
    world: World, gateway: Runtime, body: bytes, idempotency_key: str
) -> Answer:
    exchange = Exchange(gateway, CHAT, body, key=world.key)
    header = (b"idempotency-key", idempotency_key.encode())
    exchange.scope["headers"].append(header)
    return await exchange.run()


@pytest.mark.parametrize("fields", [{}, {"stream": True}])
async def test_key__answer_too_large_to_keep__guards_and_says_so(
    indoors: World, gateway: Runtime, settings: Settings, fields: dict[str, Any]
) -> None:
    settings.LLM_IDEMPOTENCY_MAX_BYTES = 100
    served = indoors.serve("ok-40")
    body, key = chat_body(served.model, **fields), unique("key")
    first = await keyed(indoors, gateway, body, key)
    assert first.status == 200
    request_id = first.headers["x-request-id"]
    row = await asyncio.to_thread(indoors.usage, request_id)
    assert (row.status, row.marks) == ("ok", [])
    again = await keyed(indoors, gateway, body, key)
    assert (again.status, again.error["code"]) == (409, "idempotency_answer_not_kept")
    assert again.headers["x-should-retry"] == "false"
    assert again.headers["x-valuecanvas-original-request-id"] == request_id
    assert request_id in again.error["message"]
    assert "retry-after" not in again.headers
    # The guard holds for other bodies too, and nothing was taken.
    other = await keyed(indoors, gateway, chat_body(served.model), key)
    assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
    assert indoors.counter()[0] == 1


async def test_key__of_a_hit_too_large_to_keep__guards_too(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    served = indoors.serve("ok-40")
    body = chat_body(served.model)
    assert (await Exchange(gateway, CHAT, body, key=indoors.key).run()).status == 200
    settings.LLM_IDEMPOTENCY_MAX_BYTES = 100
    key = unique("key")
    hit = await keyed(indoors, gateway, body, key)
    assert hit.headers["x-valuecanvas-cache"] == "hit"
    again = await keyed(indoors, gateway, body, key)
    assert (again.status, again.error["code"]) == (409, "idempotency_answer_not_kept")


@pytest.fixture
def back(indoors: World) -> Iterator[None]:
    yield
    sessions.set_read_only(False)


@pytest.mark.usefixtures("back")
async def test_read_only__calls_and_probes__get_503_until_it_is_back(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok")
    assert (await ask(indoors, gateway, served.model)).status == 200
    used = indoors.counter()[0]
    await asyncio.to_thread(sessions.set_read_only, True, gateway.ledger)
    for _ in range(3):
        answer = await ask(indoors, gateway, served.model)
        assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
        ready = await Exchange(gateway, "/health/ready", method="GET").run()
        assert (ready.status, ready.json["checks"]["database"]) == (503, "unavailable")
    await asyncio.to_thread(sessions.set_read_only, False)
    async with asyncio.timeout(60):
        while (await ask(indoors, gateway, served.model)).status != 200:
            await asyncio.sleep(0.01)
        ready = await Exchange(gateway, "/health/ready", method="GET").run()
        while ready.status != 200:
            ready = await Exchange(gateway, "/health/ready", method="GET").run()
    assert indoors.counter()[0] == used + 1
    assert indoors.reserved() == 0
