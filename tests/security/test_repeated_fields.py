"""S29: no door takes JSON that names a field twice: programs would read it in two ways."""

import re
from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from llm.runtime import Runtime
from tests.live.inside import Exchange
from tests.live.world import World
from valuecanvas.core.api.bodies import JsonParser

pytestmark = pytest.mark.live

TWICE = b'{"model": "cheap", "model": "dear"}'
INSIDE = (
    b'{"model": "m", "messages": [{"role": "user", "content": "a", "content": "b"}]}'
)
ESCAPED = b'{"model": "cheap", "mod\\u0065l": "dear"}'
# They read no body, or none in JSON.
WITHOUT_JSON = re.compile(r"(?:cancel|retry|rotate)\Z|^v1/files\Z")


def routes(urlconf: str) -> Iterator[tuple[str, type[APIView]]]:
    """Each route of a URLconf, and its view."""

    def walk(resolver: URLResolver, before: str) -> Iterator[tuple[str, type[APIView]]]:
        for one in resolver.url_patterns:
            route = before + str(one.pattern)
            if isinstance(one, URLPattern):
                callback = one.callback
                view = getattr(callback, "cls", getattr(callback, "view_class", None))
                if view is not None:
                    yield route, view
            else:
                yield from walk(one, route)

    yield from walk(get_resolver(urlconf), "")


HOT = [
    (route, method)
    for route, view in routes("valuecanvas.http.hot_urls")
    for method in ("POST", "PUT", "PATCH")
    if hasattr(view, method.lower()) and not WITHOUT_JSON.search(route)
]
COLD = [
    view
    for route, view in routes("valuecanvas.urls")
    if route.startswith("api/") and issubclass(view, APIView)
]


def test_doors__of_this_test__are_many() -> None:
    assert len(HOT) >= 8
    assert len(COLD) >= 30


@pytest.mark.parametrize(("route", "method"), HOT)
async def test_field__named_twice_at_a_hot_door__is_400(
    indoors: World, gateway: Runtime, route: str, method: str
) -> None:
    path = "/" + re.sub(r"<\w+:\w+>", "x", route)
    key = indoors.new_key(scopes=["llm", "flags:evaluate", "prompts:read"])
    for body in (TWICE, INSIDE, ESCAPED):
        answer = await Exchange(gateway, path, body, method=method, key=key).run()
        # OFREP has an error body of its own.
        assert answer.status == 400, body
        assert b"The body names a field twice." in answer.body


@pytest.mark.parametrize("view", {*COLD}, ids=lambda view: view.__name__)
def test_parser__of_a_cold_door__is_the_one_that_looks(view: type[APIView]) -> None:
    assert set(view.parser_classes) <= {JsonParser}


@pytest.mark.parametrize("path", ["/api/prompts", "/api/flags"])
def test_field__named_twice_at_a_cold_door__is_400(world: World, path: str) -> None:
    scopes = ["prompts:read", "prompts:write", "flags:read", "flags:write"]
    key = world.new_key(scopes=scopes)
    for body in (TWICE, INSIDE, ESCAPED):
        answer = world.request(path, body, key=key)
        assert (answer.status, answer.error["code"]) == (400, "invalid_json"), body
        assert answer.error["message"] == "The body names a field twice."


def test_context_and_options__named_twice__are_400(world: World) -> None:
    model = world.serve("ok").model
    body = b'{"model": "%s", "messages": [{"role": "user", "content": "a"}]}'
    answer = world.request(
        "/v1/chat/completions",
        body % model.encode(),
        x_valuecanvas_context='{"targetingKey": "a", "targetingKey": "b"}',
    )
    assert (answer.status, answer.error["param"]) == (400, "x-valuecanvas-context")
    answer = world.request(
        "/api/llm/batches?endpoint=/v1/chat/completions&metadata=%7B%22a%22%3A1%2C%22a%22%3A2%7D",
        b'{"custom_id": "1", "body": {}}\n',
        content_type="application/x-ndjson",
        key=world.new_key(scopes=["llm"]),
    )
    assert (answer.status, answer.error["param"]) == (400, "metadata")


def test_query__naming_a_field_of_the_body__changes_nothing(world: World) -> None:
    """Parameters are not merged from the query."""
    model = world.serve("ok").model
    body = b'{"model": "%s", "messages": [{"role": "user", "content": "a"}]}'
    path = "/v1/chat/completions?model=dear&stream=true"
    answer = world.request(path, body % model.encode())
    assert (answer.status, answer.json["object"]) == (200, "chat.completion")
