"""Base URLs as people type them, and what a path is told where nothing is."""

from typing import Any

import pytest

from tests.live.world import Answer, World
from valuecanvas.http import paths

SLIPS = [
    "/chat/completions",
    "/chat/completions/",
    "//chat/completions",
    "/v1/chat/completions/",
    "//v1/chat/completions",
    "/v1//chat//completions",
    "/v1/v1/chat/completions",
]


@pytest.mark.parametrize("path", SLIPS)
def test_path__a_slip_of_the_base_url__is_served(world: World, path: str) -> None:
    served = world.serve("ok")
    messages = [{"role": "user", "content": path}]
    answer = world.post(path, model=served.model, messages=messages)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/models", "/v1/models"),
        ("/models/a/b/", "/v1/models/a/b"),
        ("/files/x/content", "/v1/files/x/content"),
        ("/batches", "/v1/batches"),
        ("/v1/models/", "/v1/models"),
        ("/health/live/", "/health/live"),
        ("//api//prompts/x/fetch/", "/api/prompts/x/fetch"),
        ("/ofrep/v1/evaluate/flags/", "/ofrep/v1/evaluate/flags"),
        ("/v1/v1", "/v1"),
        # Pages and what only begins alike stay as they came.
        ("/admin//billing/", "/admin//billing/"),
        ("/", "/"),
        ("/models.txt", "/models.txt"),
        ("/v1x/", "/v1x/"),
        ("/static/v1//a", "/static/v1//a"),
    ],
)
def test_canonical__a_path__is_what_the_client_means(path: str, meant: str) -> None:
    assert paths.canonical(path) == meant
    assert paths.canonical(meant) == meant


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/response", "/v1/responses"),
        ("/api/experiment", "/api/experiments"),
        ("/v1/audio/speech", ""),
        ("/v1", ""),
        ("/api/nothing/at/all", ""),
    ],
)
def test_path__unknown__names_itself_and_what_there_is(
    world: World, path: str, hint: str, method: str
) -> None:
    answer = world.request(path, b"{}" if method == "POST" else None, method=method)
    assert answer.status == 404
    assert answer.error["code"] == "unknown_path"
    message = answer.error["message"]
    assert f"nothing at '{path}'" in message
    assert "/v1/chat/completions" in message
    assert ("Did you mean" in message) is bool(hint)
    assert hint in message


def test_path__very_long__is_told_shortened(world: World) -> None:
    answer = world.request("/v1/" + "x" * 5000)
    assert answer.status == 404
    assert len(answer.error["message"]) < 1000


def told(answer: Answer) -> Any:
    """The body without the request's id."""
    body = answer.json
    body.get("error", {}).pop("request_id", None)
    return body


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/models/none", "/api/flags", "/api/prompts"]
)
def test_key__in_x_api_key__is_as_good_as_a_bearer(world: World, path: str) -> None:
    key = world.new_key(scopes=["llm", "flags:read", "prompts:read"])
    bearer = world.request(path, key=key)
    other = world.request(path, key="", x_api_key=key)
    assert (bearer.status, told(bearer)) == (other.status, told(other))
    assert world.request(path, key="", x_api_key=f"{key}x").status == 401


def test_key__in_x_api_key_on_a_paid_path__is_billed(world: World) -> None:
    served = world.serve("ok")
    data = b'{"model": "%s", "messages": [{"role": "user", "content": "Hi"}]}'
    sent = data % served.model.encode()
    answer = world.request("/v1/chat/completions", sent, key="", x_api_key=world.key)
    assert answer.status == 200
    assert answer.headers["x-ratelimit-limit-requests"] == "1000"
