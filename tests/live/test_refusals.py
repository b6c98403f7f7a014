"""Refusals that no SDK class stands for: one body, one request id, nothing used."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.live.world import World

pytestmark = pytest.mark.live


def refusals(world: World) -> dict[str, Callable[[], Any]]:
    """Ways to be refused, with the key in none of the answers."""
    served = world.serve("ok")
    return {
        "404": lambda: world.request("/v1/nothing/here"),
        "405": lambda: world.request("/v1/chat/completions"),
        "415": lambda: world.request(
            "/v1/chat/completions", b"{}", content_type="text/plain"
        ),
        "400": lambda: world.post("/v1/chat/completions", model=served.model),
        "401": lambda: world.request("/v1/models", key="vc-wrong000-key"),
    }


@pytest.mark.parametrize("status", ["404", "405", "415", "400", "401"])
def test_refusal__any__has_the_openai_body_and_a_request_id(
    world: World, status: str
) -> None:
    answer = refusals(world)[status]()
    assert answer.status == int(status)
    assert answer.error["request_id"] == answer.headers["x-request-id"]
    assert {"message", "type", "param", "code"} <= answer.error.keys()
    assert isinstance(answer.error["code"], str)
    assert world.counter() == (0, 0, 0)


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
@pytest.mark.parametrize(
    "name", ["web_search_options", "search_parameters", "provider", "Service_Tier"]
)
def test_field_that_is_not_sent_on__empty__is_refused_before_anything_is_taken(
    world: World, path: str, name: str
) -> None:
    served = world.serve("ok")
    words = {"input": "hi", "messages": [{"role": "user", "content": "hi"}]}
    words.pop("messages" if path == "responses" else "input")
    answer = world.post(f"/v1/{path}", model=served.model, **words, **{name: {}})
    assert (answer.status, answer.error["param"]) == (400, name)
    assert answer.error["code"] == "unsupported_parameter"
    assert world.counter() == (0, 0, 0)


def test_wrong_method__get_on_chat__says_what_is_allowed(world: World) -> None:
    answer = world.request("/v1/chat/completions")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert answer.error["code"] == "method_not_allowed"


def test_options__chat__says_what_is_allowed(world: World) -> None:
    answer = world.request("/v1/chat/completions", method="OPTIONS")
    assert (answer.status, answer.headers["allow"]) == (204, "POST, OPTIONS")
    assert answer.body == b""


def test_unknown_path__under_v1__is_404_unknown_path(world: World) -> None:
    answer = world.request("/v1/fine_tuning/jobs")
    assert (answer.status, answer.error["code"]) == (404, "unknown_path")
