"""Planted personal data and secrets: none may come to where it is not meant to be."""

import importlib
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from billing.models import Usage
from llm import pipeline
from llm.runtime import Runtime
from tests.demo_process import DemoProcess
from tests.live.canaries import (
    ANSWERS,
    CANARIES,
    LINE,
    PLANTED,
    Collected,
    canary_provider,
    found_in,
    in_database,
    in_redis,
    receiver,
    redis_items,
)
from tests.live.canary_columns import CALLERS_TEXT, OPERATORS_TEXT
from tests.live.canary_forms import CRASH, plant_in_crashes, plant_in_forms
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.server import LiveServer, live_server
from tests.live.world import PATIENCE_S, World, request_id
from valuecanvas.core.telemetry import logs

pytestmark = pytest.mark.live
redact = importlib.import_module("valuecanvas.core.telemetry.redaction.redact")
PREFIX = "canaries"
HEADERS = (
    "idempotency_key", "user_agent", "cookie", "x_valuecanvas_user", "x_valuecanvas_tags",
    "x_valuecanvas_context", "traceparent", "referer", "x_forwarded_for", "origin",
    "content_type", "cache_control", "authorization", "x_api_key",
)  # fmt: skip


@dataclass
class Scene:
    """A gateway that reports all that it can report, and what it reported."""

    world: World
    server: LiveServer
    spans: Collected
    errors: Collected
    provider: str


@pytest.fixture(scope="module")
def reporting(
    server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiveServer, Collected, Collected, str]]:
    with receiver() as spans, receiver() as errors, canary_provider() as provider:
        env = {
            **server_env,
            "REDIS_PREFIX": PREFIX,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{spans.url}",
            "TRACE_SAMPLE_RATIO": "1",
            "SENTRY_DSN": f"http://public@{errors.url}/7",
            "LOG_LEVEL": "debug",
            "REFUSALS_PER_MINUTE": "10000",
        }
        folder = tmp_path_factory.mktemp("canaries")
        with live_server(folder, env) as server:
            yield server, spans, errors, provider


@pytest.fixture
def scene(
    transactional_db: None,
    reporting: tuple[LiveServer, Collected, Collected, str],
    demo_provider: DemoProcess,
) -> Iterator[Scene]:
    server, spans, errors, provider = reporting
    world = World(demo_provider, server.port, server.log_path)
    yield Scene(world, server, spans, errors, provider)
    world.close()


def routes(patterns: Any, before: str = "") -> Iterator[str]:
    """All paths of the URLconf, with a canary in the place of each parameter."""
    for one in patterns:
        path = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, path)
        elif isinstance(one, URLPattern) and "(?P" not in path and "^" not in path:
            yield path


def test_canaries__everywhere_they_can_be_planted__are_in_no_report(
    scene: Scene,
) -> None:
    world = scene.world
    plant_in_providers(scene)
    plant_in_requests(world)
    plant_in_every_path(world)
    plant_in_the_admin(world)
    callers = world.db(in_database, CALLERS_TEXT)
    plant_in_forms(world)
    plant_in_crashes(world)
    metrics = world.metrics().encode()
    wait_for_reports(scene)
    log = scene.server.log_path.read_bytes()
    errors = b"\n".join(scene.errors.bodies)
    # The filter has had something to do, and the canaries were let in.
    assert b"[email]" in log
    assert b"[email]" in errors
    assert b'"end_user"' not in log
    assert world.db(Usage.objects.filter(end_user=CANARIES[0]).exists)
    # Answers full of canaries were stored, encrypted.
    assert any(b":cache:" in key for key, _ in redis_items(PREFIX))
    assert {
        "logs": found_in(log),
        "metrics": found_in(metrics),
        "spans": found_in(b"\n".join(scene.spans.bodies)),
        "errors": found_in(errors),
        "redis": in_redis(PREFIX),
        "database": callers,
        "database with forms": world.db(in_database, CALLERS_TEXT | OPERATORS_TEXT),
    } == {
        "logs": set(),
        "metrics": set(),
        "spans": set(),
        "errors": set(),
        "redis": {},
        "database": {},
        "database with forms": {},
    }


def plant_in_providers(scene: Scene) -> None:
    """Providers that answer with canaries, whole, streamed and in errors."""
    for name in ANSWERS:
        model = scene.world.serve_at((scene.provider, name)).model
        for stream in (True, False) if "event" not in ANSWERS[name][1] else (True,):
            scene.world.post(CHAT, model=model, stream=stream, user=PLANTED, messages=[{"role": "user", "content": PLANTED}])  # fmt: skip


def plant_in_requests(world: World) -> None:
    """Canaries in each header and field of a request to a model that answers."""
    model = world.serve("echo").model
    for text in CANARIES:
        fields = {"user": text, "metadata": {"x": text}, "safety_identifier": text}
        answer = world.chat(model, text, **fields)
        assert answer.status == 200, answer.body
        world.chat(text)
        world.post(CHAT, model=model, messages=text, **{text: text})
        world.request(CHAT, text.encode())
        world.request(f"/{quote(text, safe='')}?{urlencode({'q': text})}")
        world.post("/api/llm/jobs", type=text, body=text)
        chat = {"model": model, "messages": [{"role": "user", "content": text}]}
        job = world.post("/api/llm/jobs", type="completion", body=chat)
        assert job.status == 202, job.body
    rated = request_id(world.chat(model))
    world.usage(rated)
    said = {"request_id": rated, "score": 1, "comment": CANARIES[0]}
    assert world.post("/v1/feedback", **said).status == 200
    for header in HEADERS:
        for line in (LINE, CANARIES[0], f"Bearer {LINE}"):
            world.request(CHAT, chat_body(model), **{header: line})
    raw(world, f"GET /{quote(LINE)} HTTP/1.1\r\nHost: {quote(LINE)}\r\n\r\n")
    raw(world, f"{LINE}\r\n\r\n")


def raw(world: World, head: str) -> None:
    """Send what is no HTTP request, or not quite one."""
    with socket.create_connection(("127.0.0.1", world.port)) as sock:
        sock.sendall(head.encode())
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65_536):
            pass


def plant_in_every_path(world: World) -> None:
    """Every route, by several methods, with canaries as parameters, query and body."""
    found = set(routes(get_resolver().url_patterns)) - {""}
    assert len(found) > 100
    body = orjson.dumps({"model": PLANTED, "name": PLANTED, PLANTED: PLANTED})
    canaries = ["ann.canary%40example.com", "4111111111111111", "203.0.113.7"]
    for path in sorted(found):
        filled = re.sub(r"<[^>]+>", canaries[len(path) % 3], path)
        asked = f"/{filled}?{urlencode({'q': PLANTED, 'user': CANARIES[0]})}"
        world.request(asked)
        world.request(asked, body)
        world.request(asked, body, method="PATCH", key="")


def plant_in_the_admin(world: World) -> None:
    """Logins that fail, with canaries as names and passwords."""
    for text in CANARIES:
        form = urlencode({"username": text, "password": text}).encode()
        kind = "application/x-www-form-urlencoded"
        world.request("/admin/login/", form, key="", content_type=kind)


def wait_for_reports(scene: Scene) -> None:
    """Return once the last spans have come, and an error of a crash."""
    last = scene.world.chat(scene.world.serve("ok").model)
    mark = last.headers["x-request-id"].replace("-", "").encode()
    marks = (mark, bytes.fromhex(mark.decode()), last.headers["x-request-id"].encode())
    deadline = time.monotonic() + PATIENCE_S
    while not any(
        one in body for body in scene.spans.bodies for one in marks
    ) or not any(CRASH.encode() in body for body in scene.errors.bodies):
        assert time.monotonic() < deadline, len(scene.errors.bodies)
        time.sleep(0.05)


async def test_crash__with_canaries_in_its_exception__is_told_without_them(
    indoors: World,
    gateway: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def crash(*args: Any) -> None:
        secret = CANARIES[0]
        raise ValueError(f"{secret} {PLANTED}")

    monkeypatch.setattr(pipeline, "read_request", crash)
    logs.configure("info")

    async def logged() -> bytes:
        body = chat_body("m", PLANTED)
        answer = await Exchange(gateway, CHAT, body, key=indoors.key).run()
        assert (answer.status, found_in(answer.body)) == (500, set())
        return capsys.readouterr().err.encode()

    log = await logged()
    assert b"request.crashed" in log
    assert found_in(log) == set()
    # Without one of its filters, and so with each: see test_redact.py.
    compiled = [one for one in redact._COMPILED if one[0].kind != "email"]
    monkeypatch.setattr(redact, "_COMPILED", compiled)
    assert found_in(await logged())
