"""Probes, the gateway's own health, and a database that cannot be reached."""

from collections.abc import Iterator

import pytest

from tests.live.server import LiveServer, live_server
from tests.live.world import World
from valuecanvas.embedded.processes import free_port

pytestmark = pytest.mark.live


def test_live__running__is_ok(world: World) -> None:
    answer = world.request("/health/live", key="")
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert answer.headers["x-request-id"]


def test_ready__database_and_redis_answer__is_ok(world: World) -> None:
    answer = world.request("/health/ready", key="")
    assert answer.status == 200
    assert answer.json["status"] == "ok"
    # The backup is told of, and is no reason to send requests elsewhere.
    checks = answer.json["checks"]
    assert checks.pop("backup")
    assert checks == {"database": "ok", "redis": "ok"}


def test_health__all_well__lists_providers_and_queue(world: World) -> None:
    served = world.serve("ok")
    world.chat(served.model)
    answer = world.request("/api/llm/health", key="")
    assert answer.status == 200
    shown = answer.json
    assert shown["epoch"] >= 1
    assert shown["ledger"] == {"healthy": True}
    assert shown["cache"] == {"redis": "up"}
    assert shown["queue"]["ledger_depth"] >= 0
    breaker = world.breaker(served.providers[0])
    assert breaker == {
        "provider": served.providers[0],
        "model": "ok",
        "breaker": "closed",
        "reason": "",
        "completed": breaker["completed"],
        "failures": 0,
        "retry_ms": 0,
        "throttled_ms": 0,
    }


def test_health__one_breaker_open__is_degraded(world: World) -> None:
    served = world.serve("status-402", "ok")
    world.chat(served.model)
    shown = world.request("/api/llm/health", key="").json
    assert shown["status"] == "degraded"


def test_cold_path__admin__is_served_by_django(world: World) -> None:
    answer = world.request("/admin/login/", key="")
    assert answer.status == 200
    assert b"csrfmiddlewaretoken" in answer.body


def test_log__each_request__is_one_json_line_without_content(world: World) -> None:
    served = world.serve("echo")
    answer = world.chat(served.model, "a-secret-prompt")
    world.usage(answer.headers["x-request-id"])
    # Other lines of that time, such as of a new configuration, have its id too.
    events = [
        line
        for line in world.server_log().splitlines()
        if answer.headers["x-request-id"] in line and '"request.done"' in line
    ]
    assert len(events) == 1
    assert "a-secret-prompt" not in world.server_log()


@pytest.fixture(scope="module")
def cut_off(
    server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A gateway whose database does not exist."""
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    env = {**server_env, "DATABASE_URL": url}
    folder = tmp_path_factory.mktemp("cut-off")
    with live_server(folder, env, wait_for="/health/live") as running:
        yield running


@pytest.fixture
def stranded(world: World, cut_off: LiveServer) -> World:
    """The world as seen through the gateway without a database."""
    world.port = cut_off.port
    return world


def test_database_away__live__is_ok(stranded: World) -> None:
    assert stranded.request("/health/live").status == 200


def test_database_away__ready__is_503(stranded: World) -> None:
    answer = stranded.request("/health/ready")
    assert answer.status == 503
    assert answer.json == {
        "status": "unavailable",
        "checks": {"database": "unavailable", "redis": "ok"},
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models", None),
        ("/v1/models/any", None),
        ("/v1/chat/completions", b'{"model":"x","messages":[{"role":"user"}]}'),
        ("/v1/embeddings", b'{"model":"x","input":"y"}'),
        ("/v1/responses", b'{"model":"x","input":"y","stream":true}'),
        ("/api/llm/complete", b'{"model":"x","prompt":"y"}'),
        ("/api/llm/health", None),
    ],
)
def test_database_away__request__is_503_with_retry_after(
    stranded: World, path: str, body: bytes | None
) -> None:
    answer = stranded.request(path, body)
    assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert answer.error["type"] == "service_unavailable_error"


def test_redis_away__requests__are_answered_all_the_same(
    server_env: dict[str, str],
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    env = {**server_env, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    served = world.serve("status-402", "ok")
    with live_server(tmp_path_factory.mktemp("no-redis"), env) as server:
        world.port = server.port
        for attempts in (2, 1, 1, 1, 1, 1):
            answer = world.chat(served.model)
            assert answer.status == 200
            row = world.usage(answer.headers["x-request-id"])
            assert row.attempts == attempts
        ready = world.request("/health/ready")
        assert (ready.status, ready.json["checks"]["redis"]) == (200, "passed by")
        shown = world.request("/api/llm/health").json
        assert (shown["status"], shown["cache"]["redis"]) == ("degraded", "passed by")
        opened = {one["provider"]: one["breaker"] for one in shown["providers"]}
        assert opened[served.providers[0]] == "open"


def test_server__sigterm__ends_within_its_time_and_settles(
    server_env: dict[str, str],
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    served = world.serve("status-500", "ok")
    folder = tmp_path_factory.mktemp("ending")
    with live_server(folder, server_env) as server:
        world.port = server.port
        answer = world.chat(served.model)
    assert server.process.returncode is not None
    request_id = answer.headers["x-request-id"]
    assert len(world.attempts(request_id, 1)) == 1
    assert world.reserved() == 0
