"""Who is told how the gateway fares: /metrics, and the detail of /api/llm/health."""

import time
from collections.abc import Iterator

import jwt
import pytest

from tests.live.conftest import FIXED_ENV
from tests.live.server import LiveServer, live_server
from tests.live.world import Answer, World

pytestmark = pytest.mark.live
TOKEN = "the-token-of-a-scraper"
PROXIED = [
    {"x-forwarded-for": "127.0.0.1"},
    {"x-forwarded-for": "203.0.113.9"},
    {"forwarded": "for=127.0.0.1"},
    {"x-real-ip": "127.0.0.1"},
    {"via": "1.1 proxy"},
]


def look(
    world: World, path: str = "/api/llm/health", key: str = "", **headers: str
) -> Answer:
    return world.request(path, key=key, **headers)


def assert_short(answer: Answer) -> None:
    assert answer.status == 200
    assert list(answer.json) == ["status"]
    assert answer.json["status"] in ("ok", "degraded", "down")


def user_token() -> str:
    claims = {
        "sub": "somebody",
        "role": "authenticated",
        "aud": "authenticated",
        "exp": int(time.time()) + 60,
        "iss": FIXED_ENV["JWT_ISSUER"],
    }
    return jwt.encode(claims, FIXED_ENV["JWT_SECRET"], "HS256")


def test_monitor__from_this_machine__is_told_all(world: World) -> None:
    text = look(world, "/metrics").body
    assert b"valuecanvas_requests_total" in text
    assert b"_created" not in text
    assert "providers" in look(world).json


@pytest.mark.parametrize("headers", PROXIED, ids=str)
def test_monitor__through_a_proxy__is_told_the_status_alone(
    world: World, headers: dict[str, str]
) -> None:
    refused = look(world, "/metrics", **headers)
    assert (refused.status, refused.error["code"]) == (403, "address_not_allowed")
    assert_short(look(world, **headers))


def test_health__with_a_key__is_told_in_detail_but_no_metrics(world: World) -> None:
    headers = PROXIED[1]
    assert "providers" in look(world, key=world.key, **headers).json
    assert look(world, "/metrics", key=world.key, **headers).status == 403
    assert look(world, key="vc-wrong", **headers).status == 401
    world.free_tier()
    assert_short(look(world, key=user_token(), **headers))


@pytest.fixture(scope="module")
def with_token(
    server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    env = {**server_env, "METRICS_TOKEN": TOKEN}
    with live_server(tmp_path_factory.mktemp("token"), env) as running:
        yield running


def test_monitor__where_a_token_is_set__that_alone_counts(
    world: World, with_token: LiveServer
) -> None:
    world.port = with_token.port
    for wrong in ("", "another", TOKEN + "x", world.key):
        answer = look(world, "/metrics", key=wrong)
        assert (answer.status, answer.error["code"]) == (401, "invalid_token")
    assert look(world, "/metrics", authorization=f"Basic {TOKEN}").status == 401
    assert_short(look(world))
    for headers in ({}, *PROXIED):
        answer = look(world, "/metrics", key=TOKEN, **headers)
        assert (answer.status, b"# HELP" in answer.body) == (200, True)
        assert "providers" in look(world, key=TOKEN, **headers).json


@pytest.fixture(scope="module")
def elsewhere(
    server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """Behind a proxy that it trusts; scraped from other machines."""
    env = {
        **server_env,
        "TRUST_PROXY": "on",
        "METRICS_NETWORKS": "10.1.0.0/16,fd00::/8",
    }
    with live_server(tmp_path_factory.mktemp("elsewhere"), env) as running:
        yield running


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("10.1.2.3", 200),
        ("::ffff:10.1.2.3", 200),
        ("fd00::1", 200),
        ("10.1.2.3, 203.0.113.9", 403),
        ("10.2.0.1", 403),
        ("fe80::1", 403),
        ("nonsense", 403),
        ("", 403),
    ],
)
def test_monitor__behind_a_trusted_proxy__goes_by_what_that_says(
    world: World, elsewhere: LiveServer, forwarded: str, status: int
) -> None:
    world.port = elsewhere.port
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert look(world, "/metrics", **headers).status == status
    assert ("providers" in look(world, **headers).json) == (status == 200)
