"""Odd replies and connections of providers, and the doors of the process itself."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from llm import runtime
from llm.gateway import GatewayThread
from llm.runtime import Runtime
from tests.fixtures_billing import unique
from tests.live.inside import CHAT, Exchange, ask, chat_body, chunk, upstream
from tests.live.world import World
from valuecanvas.asgi import Application

pytestmark = pytest.mark.live


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
    # Its words, but no more of them than a message may have.
    assert set(answer.error["message"]) <= set("x…. ")
    assert len(answer.error["message"]) <= 2_000


async def test_base_url__is_no_url__fails_over(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve_at(("http://[", "m"), (indoors.demo.url, "ok"))
    answer = await ask(indoors, gateway, served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]


@contextmanager
def full_backlog() -> Iterator[str]:
    """The base URL of a server that takes no more connections."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        for one in waiting:
            one.close()


@pytest.fixture
async def impatient(
    transactional_db: None, settings: Settings, tmp_path: Path
) -> AsyncIterator[Runtime]:
    """A gateway with one connection to each provider, and little time to get it."""
    settings.REDIS_PREFIX = unique("inside")
    settings.JOURNAL_DIR = tmp_path / "journal"
    settings.LLM_CONNECT_TIMEOUT_S = 0.1
    settings.LLM_POOL_TIMEOUT_S = 0.1
    settings.LLM_POOL_SIZE = 1
    started = await runtime.start()
    yield started
    await started.stop()


async def test_connect__not_in_time__is_tried_twice_and_fails_over(
    indoors: World, impatient: Runtime
) -> None:
    with full_backlog() as url:
        served = indoors.serve_at((url, "m"), (indoors.demo.url, "ok"))
        answer = await ask(indoors, impatient, served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    request_id = answer.headers["x-request-id"]
    failed = await asyncio.to_thread(indoors.attempts, request_id, 2)
    assert [one.provider for one in failed] == [served.providers[0]] * 2
    assert {one.error for one in failed} == {"The provider cannot be reached in time."}


async def test_pool__no_connection_free_in_time__fails_over(
    indoors: World, impatient: Runtime
) -> None:
    async with upstream(chunk(content="Hi."), 20.0) as url:
        served = indoors.serve_at((url, "m"), (indoors.demo.url, "ok"))
        body = chat_body(served.model, stream=True)
        first = Exchange(impatient, CHAT, body, key=indoors.key)
        serving = first.start()
        await first.until(b"Hi.")
        answer = await ask(indoors, impatient, served.model)
        first.leave()
        await serving
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]


def test_gateway_thread__used_but_never_for_a_call__closes() -> None:
    door = GatewayThread()

    async def nothing() -> int:
        return 7

    assert door.submit(nothing()).result() == 7
    door.close()
    door.close()


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
    exchange = Exchange(None, CHAT, [])
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
