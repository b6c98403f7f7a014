"""Each request has exactly one event in the log, served or refused."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from llm.runtime import Runtime
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.shared import offered
from tests.live.world import PATIENCE_S, Answer, World, unique
from valuecanvas.core.telemetry import logs

pytestmark = pytest.mark.live


def events(log: str, name: str, value: str) -> list[dict[str, Any]]:
    """The events of requests with such an id; each line is one whole object."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [
        one
        for one in lines
        if one["event"] == "request.done" and one.get(name) == value
    ]


def event_of(world: World, answer: Answer) -> dict[str, Any]:
    """The one event of an answered request."""
    deadline = time.monotonic() + PATIENCE_S
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < deadline:
        found = events(world.server_log(), "request_id", answer.headers["x-request-id"])
    (one,) = found
    return one


def test_event__answered__has_ids_route_tokens_and_cost(world: World) -> None:
    model = world.serve("ok").model
    trace = "0af7651916cd43dd8448eb211c80319c"
    body = chat_body(model)
    answer = world.request(CHAT, body, traceparent=f"00-{trace}-b7ad6b7169203331-01")
    found = event_of(world, answer)
    assert found["customer_id"] == str(world.customer.pk)
    assert (found["trace_id"], found["job_id"]) == (trace, "")
    assert (found["endpoint"], found["model"], found["status"]) == ("chat", model, "ok")
    assert found["prompt_tokens"] > 0
    assert found["cost_micro_usd"] >= 0
    assert found["latency_ms"] >= 0
    assert "Say hello" not in world.server_log()


def test_event__stream_hit_and_replay__are_one_each(world: World) -> None:
    with offered(world) as offer:
        key = unique("key")
        stream = offer.ask(stream=True, idempotency_key_header=key)
        hit = offer.ask()
        replay = offer.ask(stream=True, idempotency_key_header=key)
    assert event_of(world, stream)["status"] == "ok"
    assert event_of(world, hit)["cached"] is True
    found = event_of(world, replay)
    assert (found["replayed"], found["status"]) == (True, "ok")
    assert found["customer_id"] == str(world.customer.pk)


REFUSED: dict[str, tuple[Callable[[World], Answer], dict[str, Any]]] = {
    "body": (
        lambda world: world.post(CHAT, model=1),
        {"endpoint": "chat", "status": "refused", "http_status": 400},
    ),
    "key": (
        lambda world: world.chat("some", key="vc-unknown-key"),
        {"http_status": 401, "error_code": "invalid_api_key"},
    ),
    "model": (
        lambda world: world.chat("no-such-model"),
        {"http_status": 404, "status": "refused"},
    ),
    "provider": (
        lambda world: world.chat(world.serve("status-500").model),
        {"status": "error", "endpoint": "chat"},
    ),
    "path": (
        lambda world: world.request("/v1/a@b.example"),
        {"endpoint": "unknown", "http_status": 404},
    ),
    "cold path": (
        lambda world: world.request("/api/usage/report?x=a@b.example"),
        {"endpoint": "api/usage/report", "http_status": 400},
    ),
    "read": (
        lambda world: world.request("/v1/models"),
        {"endpoint": "v1/models", "http_status": 200, "status": "ok"},
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_event__refused_or_not_settled__is_one_with_its_route(
    world: World, kind: str
) -> None:
    ask, expected = REFUSED[kind]
    found = event_of(world, ask(world))
    assert {name: found.get(name) for name in expected} == expected


def test_event__probes__have_none(world: World) -> None:
    answer = world.request("/health/ready")
    last = world.request("/v1/models")
    event_of(world, last)
    assert not events(world.server_log(), "request_id", answer.headers["x-request-id"])


async def test_event__client_leaves__is_one(
    indoors: World, gateway: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info")
    model = indoors.serve("stall@3").model
    body = chat_body(model, stream=True)
    one = Exchange(gateway, CHAT, body, key=indoors.key)
    serving = asyncio.create_task(one.run())
    await one.until(b"data: ")
    one.leave()
    await serving
    log = capsys.readouterr().err
    (found,) = events(log, "customer_id", str(indoors.customer.pk))
    assert found["status"] == "client_gone"
