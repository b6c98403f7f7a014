"""Every route answers a preflight, and pages may send and read what SDKs do."""

import re

import pytest

from tests.live.world import World
from valuecanvas.http import paths

ORIGIN = "https://app.example.com"
ENDPOINTS = [re.sub(r"\{\w+\}", "x", one) for one in paths._endpoints()]
SENT = (
    "authorization, content-type, cache-control, x-api-key, openai-organization, "
    "openai-beta, x-stainless-lang, x-stainless-retry-count, idempotency-key, "
    "x-valuecanvas-context, x-valuecanvas-user"
)
READ = ("x-request-id", "retry-after", "x-ratelimit-remaining-requests", "ratelimit")


def listed(value: str) -> set[str]:
    return {name.strip().lower() for name in value.split(",")}


def preflight(world: World, path: str, method: str = "POST", names: str = SENT):
    return world.request(
        path,
        method="OPTIONS",
        key="",
        origin=ORIGIN,
        access_control_request_method=method,
        access_control_request_headers=names,
    )


@pytest.mark.parametrize("path", [*ENDPOINTS, "/admin/", "/v1/nothing", "/v1"])
def test_preflight__any_route__lets_the_headers_of_sdks_through(
    world: World, path: str
) -> None:
    answer = preflight(world, path)
    assert 200 <= answer.status < 300
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert listed(SENT) <= listed(answer.headers["access-control-allow-headers"])
    assert "POST" in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_options__any_route_without_a_key__is_no_error(world: World, path: str) -> None:
    answer = world.request(path, method="OPTIONS", key="")
    assert 200 <= answer.status < 300


def test_preflight__a_new_header_of_an_sdk__is_allowed_on_the_hot_path(
    world: World,
) -> None:
    names = "x-stainless-of-tomorrow, openai-new, x-foreign"
    answer = preflight(world, "/v1/chat/completions", names=names)
    allowed = listed(answer.headers["access-control-allow-headers"])
    assert {"x-stainless-of-tomorrow", "openai-new"} <= allowed
    assert "x-foreign" not in allowed


@pytest.mark.parametrize("path", ["/v1/models", "/api/flags"])
def test_answer__to_a_page__shows_its_limits_and_id(world: World, path: str) -> None:
    answer = world.request(path, origin=ORIGIN)
    assert set(READ) <= listed(answer.headers["access-control-expose-headers"])


def test_answer__of_a_provider__exposes_each_header_of_ours(world: World) -> None:
    served = world.serve("ok")
    data = b'{"model": "%s", "messages": [{"role": "user", "content": "Hello"}]}'
    sent = data % served.model.encode()
    answer = world.request("/v1/chat/completions", sent, origin=ORIGIN)
    exposed = listed(answer.headers["access-control-expose-headers"])
    own = {name for name in answer.headers if name.startswith(("x-", "ratelimit"))}
    assert own <= exposed | {"x-content-type-options"}


def test_preflight__another_origin__gets_no_permission(world: World) -> None:
    answer = world.request(
        "/v1/models", method="OPTIONS", key="", origin="https://evil.example"
    )
    assert answer.status == 204
    assert "access-control-allow-origin" not in answer.headers
