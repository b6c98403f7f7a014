"""The ledger locked, the configuration racing, Redis or the code itself failing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection
from pytest_django import Settings

from billing.callers import Callers
from billing.ledger.ledger import connect
from billing.principal import Principal
from llm import admission, records, settlement
from llm.runtime import Runtime
from llm.types import Call
from tests.fixtures_billing import make_tier
from valuecanvas.asgi import Application
from valuecanvas.core.errors import Unavailable
from valuecanvas.core.ids import uuid7

from .inside import DONE, Exchange, chat_body, chunk, upstream
from .world import Answer, World

pytestmark = pytest.mark.live

CHAT = "/v1/chat/completions"
REPLY = b'{"choices":[{"message":{"content":"Hi."},"finish_reason":"stop"}]}'


async def ask(world: World, gateway: Runtime, model: str, **fields: Any) -> Answer:
    body = chat_body(model, **fields)
    return await Exchange(gateway, CHAT, body, key=world.key).run()


@contextmanager
def locked(statement: str) -> Iterator[psycopg.Connection]:
    """A transaction of somebody else that holds the locks of `statement`."""
    with connect() as other, other.transaction():
        other.execute(statement)
        yield other


COUNTERS = "LOCK TABLE billing_counter IN ACCESS EXCLUSIVE MODE"


async def test_admission__ledger_does_not_answer__is_503_and_undone_later(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = indoors.serve("ok")
    await ask(indoors, gateway, served.model, text="First.")
    monkeypatch.setattr(admission, "ADMIT_WITHIN_S", 0.2)
    with locked(COUNTERS):
        answer = await ask(indoors, gateway, served.model, text="Second.")
    assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
    assert answer.headers["retry-after"] == "1"
    monkeypatch.undo()
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
    monkeypatch.setattr(records, "RETRY_S", 0.05)
    served = indoors.serve("status-500", "ok")
    with locked("LOCK TABLE llm_attempt IN ACCESS EXCLUSIVE MODE") as other:
        answer = await ask(indoors, gateway, served.model)
        await asyncio.to_thread(indoors.eventually, end_the_blocked)
        assert other.info.transaction_status
    request_id = answer.headers["x-request-id"]
    found = await asyncio.to_thread(indoors.attempts, request_id, 1)
    assert len(found) == 1


def end_the_blocked() -> bool:
    """Break the connection of whoever waits for the attempts' table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND query LIKE '%%llm_attempt%%'"
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
        return await callers.by_user(indoors.customer.user_id)

    with pytest.raises(Unavailable) as raised:
        await gateway.pipeline.run(vouched(gateway, served.model, identify))
    assert "changing too fast" in raised.value.message
    assert raised.value.headers["Retry-After"] == "1"
    assert tries == admission.TRIES
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
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = indoors.serve("ok")
    await ask(indoors, gateway, served.model)
    monkeypatch.setattr(admission, "ADMIT_WITHIN_S", 0.3)
    indoors.db(make_tier)
    with locked("LOCK TABLE core_change IN ACCESS EXCLUSIVE MODE"):
        answer = await ask(indoors, gateway, served.model, text="Again.")
    assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
    assert indoors.counter()[0] == 1


async def test_models__database_away_once_loaded__lists_from_memory(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = indoors.serve("ok")
    path = "/v1/models"
    await Exchange(gateway, path, method="GET", key=indoors.key).run()
    monkeypatch.setattr(admission, "ADMIT_WITHIN_S", 0.1)
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


async def test_reply__larger_than_allowed__fails_over(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    settings.LLM_MAX_REPLY_BYTES = 65_536
    served = indoors.serve("huge@1MB", "ok")
    answer = await ask(indoors, gateway, served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]


@pytest.mark.parametrize("reply", [b"[]", b'"x"', b"{}", b'{"choices":[]}', b"nul"])
async def test_reply__of_another_form__fails_over(
    indoors: World, gateway: Runtime, reply: bytes
) -> None:
    async with upstream(reply) as url:
        served = indoors.serve_at((url, "m"), (indoors.demo.url, "ok"))
        answer = await ask(indoors, gateway, served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]


async def test_reply__error_page_larger_than_is_read__keeps_its_status(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(b"x" * 200_000, status=422) as url:
        served = indoors.serve_at((url, "m"))
        answer = await ask(indoors, gateway, served.model)
    assert answer.status == 422
    assert answer.error["message"] == "The provider answered 422."


async def test_base_url__is_no_url__fails_over(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve_at(("http://[", "m"), (indoors.demo.url, "ok"))
    answer = await ask(indoors, gateway, served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]


async def test_stream__parts_of_the_body_come_one_by_one__are_joined(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("echo")
    body = chat_body(served.model, "One by one.")
    parts = [body[i : i + 10] for i in range(0, len(body), 10)]
    answer = await Exchange(gateway, CHAT, parts, key=indoors.key).run()
    assert answer.json["choices"][0]["message"]["content"] == "One by one."


async def test_crash__anywhere__is_500_without_a_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    answer = await Exchange(None, "/health/ready", method="GET").run()
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert answer.error["type"] == "api_error"
    assert answer.headers["x-request-id"] in answer.error["message"]
    assert b"Traceback" not in answer.body
    assert b"KeyError" not in answer.body
    assert "request.crashed" in capfd.readouterr().err


async def test_client__leaves_while_sending_its_body__gets_no_answer() -> None:
    exchange = Exchange(None, CHAT, [b"{"])
    exchange._parts = []
    exchange.leave()
    await exchange.start()
    assert exchange.sent == []


# The ASGI door


async def lifespan(app: Application, *messages: str) -> list[str]:
    """What the application answers to `lifespan.<message>`s."""
    queue = [{"type": f"lifespan.{message}"} for message in messages]
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return queue.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    return sent


async def test_application__no_startup_message__starts_with_the_first_requests(
    indoors: World, settings: Settings, tmp_path: Any
) -> None:
    settings.JOURNAL_DIR = tmp_path
    app = Application()
    exchanges = [Exchange(None, "/health/ready", method="GET") for _ in range(3)]
    await asyncio.gather(*(app(one.scope, one.receive, one.send) for one in exchanges))
    assert [one.answer.status for one in exchanges] == [200] * 3
    assert len({id(one.scope["valuecanvas.runtime"]) for one in exchanges}) == 1
    assert await lifespan(app, "shutdown") == ["lifespan.shutdown.complete"]


async def test_application__shut_down_without_a_start__is_done() -> None:
    assert await lifespan(Application(), "shutdown") == ["lifespan.shutdown.complete"]


async def test_application__odd_lifespan_message__is_passed_over() -> None:
    app = Application()
    assert await lifespan(app, "odd", "shutdown") == ["lifespan.shutdown.complete"]
