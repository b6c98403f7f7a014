"""The ledger locked, the configuration racing, Redis or the code itself failing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, connection
from pytest_django import Settings

from billing.auth.callers import Callers
from billing.auth.principal import Principal
from billing.ledger.connection import connect
from llm import pipeline
from llm.runtime import Runtime
from llm.settlement import event_rows, settlement
from llm.types import Call
from tests.fixtures_billing import make_tier
from tests.live.inside import CHAT, DONE, Exchange, ask, chat_body, chunk, upstream
from tests.live.world import World
from valuecanvas.core.errors import Unavailable
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.live

REPLY = b'{"choices":[{"message":{"content":"Hi."},"finish_reason":"stop"}]}'


@contextmanager
def locked(statement: str) -> Iterator[None]:
    """A transaction of somebody else that holds the locks of `statement`."""
    with connect() as other, other.transaction():
        other.execute(statement)
        yield


COUNTERS = "LOCK TABLE billing_counter IN ACCESS EXCLUSIVE MODE"


async def test_admission__ledger_does_not_answer__is_503_and_undone_later(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    served = indoors.serve("ok")
    await ask(indoors, gateway, served.model, text="First.")
    settings.LLM_ADMIT_TIMEOUT_S = 0.2
    with locked(COUNTERS):
        answer = await ask(indoors, gateway, served.model, text="Second.")
    assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
    assert answer.headers["retry-after"] == "1"
    settings.LLM_ADMIT_TIMEOUT_S = 60.0
    await ask(indoors, gateway, served.model, text="Third.")
    assert indoors.counter()[0] == 2
    assert indoors.reserved() == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_settlement__ledger_is_slow__answers_and_lands_later(
    indoors: World,
    gateway: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,
) -> None:
    monkeypatch.setattr(settlement, "ANSWER_WAITS_S", 0.1)
    parts = [chunk(content="Hi."), chunk(), DONE] if stream else [REPLY]
    async with upstream(0.5, *parts) as url:
        served = indoors.serve_at((url, "m"))
        body = chat_body(served.model, stream=stream)
        exchange = Exchange(gateway, CHAT, body, key=indoors.key)
        serving = exchange.start()
        await asyncio.to_thread(indoors.eventually, indoors.reserved_now)
        with locked(COUNTERS):
            await serving
            assert indoors.usage_rows() == []
    assert exchange.answer.status == 200
    assert b"Hi." in exchange.body
    [row] = await asyncio.to_thread(indoors.eventually, indoors.rows_now)
    assert row.status == "ok"
    assert indoors.reserved() == 0


async def test_records__database_fails_while_writing__tries_again(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_rows, "RETRY_S", 0.05)
    served = indoors.serve("status-500", "ok")
    with locked("LOCK TABLE llm_attempt IN ACCESS EXCLUSIVE MODE"):
        answer = await ask(indoors, gateway, served.model)
        await asyncio.to_thread(indoors.eventually, end_the_blocked)
    request_id = answer.headers["x-request-id"]
    found = await asyncio.to_thread(indoors.attempts, request_id, 1)
    assert len(found) == 1


def end_the_blocked() -> bool:
    """Break the connection of whoever waits for the attempts' table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND query LIKE '%%llm_attempt%%'"
            " AND pid <> pg_backend_pid()"
        )
        return bool(cursor.fetchall())


def vouched(gateway: Runtime, model: str, identify: Any) -> Call:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi."}]}
    return Call(id=uuid7(), endpoint="chat", body=body, identify=identify)


async def test_admission__configuration_changes_at_every_try__gives_up(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok")
    tries = 0

    async def identify(callers: Callers) -> Principal:
        nonlocal tries
        tries += 1
        await asyncio.to_thread(indoors.db, make_tier)
        return await callers.load_user(indoors.customer.user_id)

    with pytest.raises(Unavailable) as raised:
        await gateway.pipeline.run(vouched(gateway, served.model, identify))
    assert "changing too fast" in raised.value.message
    assert raised.value.headers["Retry-After"] == "1"
    assert tries == pipeline.TRIES
    assert indoors.counter() == (0, 0, 0)


async def test_admission__caller_cannot_be_read__is_503(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok")

    async def identify(callers: Callers) -> Principal:
        raise DatabaseError("gone")

    with pytest.raises(Unavailable) as raised:
        await gateway.pipeline.run(vouched(gateway, served.model, identify))
    assert raised.value.code == "ledger_unavailable"


async def test_admission__new_configuration_cannot_be_read__is_503(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    served = indoors.serve("ok")
    await ask(indoors, gateway, served.model)
    settings.LLM_ADMIT_TIMEOUT_S = 0.3
    indoors.db(make_tier)
    with locked("LOCK TABLE core_change IN ACCESS EXCLUSIVE MODE"):
        answer = await ask(indoors, gateway, served.model, text="Again.")
    assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
    assert indoors.counter()[0] == 1


async def test_admission__refusal_cannot_be_confirmed__is_503(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    """A model may have been added a moment ago: what is not known is not denied."""
    served = indoors.serve("ok")
    await ask(indoors, gateway, served.model)
    later = indoors.serve("ok")
    settings.LLM_ADMIT_TIMEOUT_S = 0.1
    with locked("LOCK TABLE core_epoch IN ACCESS EXCLUSIVE MODE"):
        answer = await ask(indoors, gateway, later.model)
    assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
    settings.LLM_ADMIT_TIMEOUT_S = 60.0
    assert (await ask(indoors, gateway, later.model)).status == 200
    assert (await ask(indoors, gateway, "no-such-model")).status == 404


async def test_models__database_away_once_loaded__lists_from_memory(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    served = indoors.serve("ok")
    path = "/v1/models"
    await Exchange(gateway, path, method="GET", key=indoors.key).run()
    settings.LLM_ADMIT_TIMEOUT_S = 0.1
    with locked("LOCK TABLE core_epoch IN ACCESS EXCLUSIVE MODE"):
        answer = await Exchange(gateway, path, method="GET", key=indoors.key).run()
    assert served.model in [one["id"] for one in answer.json["data"]]


async def test_unpriced_model__capped_by_setting__is_billed_the_stated_price(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    settings.LLM_UNPRICED = "cap"
    settings.LLM_UNPRICED_USD_PER_MILLION = 10.0
    served = indoors.serve("ok", prices=("",))
    answer = await ask(indoors, gateway, served.model)
    row = indoors.usage(answer.headers["x-request-id"])
    assert row.marks == ["unpriced"]
    billed = 10 * (row.prompt_tokens + row.completion_tokens)
    assert row.cost_usd * 1_000_000 == billed > 0


async def test_access_log__off__requests_are_counted_all_the_same(
    indoors: World,
    gateway: Runtime,
    settings: Settings,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settings.ACCESS_LOG = False
    served = indoors.serve("ok")
    answer = await ask(indoors, gateway, served.model)
    assert answer.status == 200
    assert "request.done" not in capfd.readouterr().err


async def test_health__ledger_fails__is_down_and_not_ready(
    indoors: World, gateway: Runtime
) -> None:
    with locked("LOCK TABLE core_epoch IN ACCESS EXCLUSIVE MODE"):
        ready = await Exchange(gateway, "/health/ready", method="GET").run()
        asked = Exchange(gateway, "/api/llm/health", method="GET")
        asked.scope["client"] = ("127.0.0.1", 1)
        health = await asked.run()
    assert (ready.status, ready.json["checks"]["database"]) == (503, "unavailable")
    assert health.json["status"] == "down"
    assert health.json["ledger"] == {"healthy": False}
    again = await Exchange(gateway, "/health/ready", method="GET").run()
    assert again.status == 200
