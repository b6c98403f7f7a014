"""Bodies that are no request: refused in the OpenAI form, and no quota used."""

import gzip

import orjson
import pytest

from tests.live.wire import Wire, head
from tests.live.world import Answer, World

pytestmark = pytest.mark.live

PATHS = [
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/api/llm/complete",
]
RUBBISH = {
    "empty": b"",
    "blank": b"   ",
    "text": b"hello",
    "cut": b'{"model": "x"',
    "not a number": b'{"model": "x", "temperature": NaN}',
    "infinite": b'{"model": "x", "temperature": -Infinity}',
    "not UTF-8": b'{"model": "\xff\xfe"}',
    "UTF-16": '{"model": "x"}'.encode("utf-16"),
    "lone surrogate": b'{"model": "\\ud800"}',
    "two objects": b"{}{}",
    "comment": b'{"model": "x" /* ! */}',
    "very deep": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "name given twice": b'{"model": "x", "model": "y"}',
    "name given twice deep inside": b'{"model": "x", "a": [{"b": 1, "b": 1}]}',
    "name given twice and a colon escaped": b'{"model":"x","model":"\\u003a"}',
    "array": b"[]",
    "null": b"null",
    "number": b"12",
}
UNTOUCHED = (0, 0, 0)


def check(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", PATHS)
def test_body__rubbish_of_every_kind__is_400_and_takes_no_quota(
    world: World, path: str
) -> None:
    for name, body in RUBBISH.items():
        answer = world.request(path, body)
        assert (answer.status, name) == (400, name)
        check(answer, 400, "invalid_json")
    assert world.counter() == UNTOUCHED


# Deeper than what can be sent on, but not than what can be read.
@pytest.mark.parametrize("depth", [240, 300, 900])
@pytest.mark.parametrize("field", ["metadata", "tools"])
def test_body__deeply_nested__is_answered_or_refused_but_never_crashes(
    world: World, depth: int, field: str
) -> None:
    served = world.serve("ok")
    nested = b"[" * depth + b"1" + b"]" * depth
    body = b'{"model":"%s","messages":[{"role":"user","content":"x"}],"%s":%s}' % (
        served.model.encode(),
        field.encode(),
        nested,
    )
    answer = world.request("/v1/chat/completions", body)
    if depth > 250:
        check(answer, 400, "invalid_json")
        assert world.counter() == UNTOUCHED
    else:
        assert answer.status == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_body__other_content_type__is_415(world: World, path: str, kind: str) -> None:
    check(world.request(path, b"{}", content_type=kind), 415, "unsupported_media_type")


def test_body__json_with_a_charset__is_taken(world: World) -> None:
    served = world.serve("ok")
    body = {"model": served.model, "messages": [{"role": "user", "content": "é"}]}
    answer = world.request(
        "/v1/chat/completions",
        orjson.dumps(body),
        content_type="application/json; charset=utf-8",
        content_encoding="identity",
    )
    assert answer.status == 200


def test_body__compressed__is_415(world: World) -> None:
    body = gzip.compress(b'{"model":"x"}')
    answer = world.request("/v1/chat/completions", body, content_encoding="gzip")
    check(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("size", [20_971_521, 30_000_000])
def test_body__too_large__is_413(world: World, size: int) -> None:
    answer = world.request("/v1/chat/completions", b" " * size)
    check(answer, 413, "request_too_large")


def test_body__largest_allowed__is_read_whole(world: World) -> None:
    served = world.serve("ok")
    start = b'{"model":"%s","messages":[{"role":"user","content":"' % (
        served.model.encode()
    )
    text = b"a" * (20_971_520 - len(start) - 4)
    answer = world.request("/v1/chat/completions", start + text + b'"}]}')
    assert answer.status == 200


def answered(raw: bytes) -> tuple[int, dict[str, str]]:
    """The status and the error of a raw HTTP answer."""
    top, _, body = raw.partition(b"\r\n\r\n")
    error: dict[str, str] = orjson.loads(body)["error"]
    return int(top.split()[1]), error


@pytest.mark.parametrize("sent", [b"", b'{"model":'])
def test_body__slow__is_refused_once_its_time_is_up(world: World, sent: bytes) -> None:
    with Wire(world.port) as wire:
        wire.socket.sendall(
            head("/v1/chat/completions", world.key, 1000, Connection="close") + sent
        )
        status, error = answered(wire.everything())
    assert (status, error["code"]) == (400, "request_timeout")
    assert "in time" in error["message"]
    assert world.counter() == UNTOUCHED


def test_body__client_leaves_before_its_end__leaves_nothing(world: World) -> None:
    with Wire(world.port) as wire:
        wire.socket.sendall(head("/v1/chat/completions", world.key, 1000) + b'{"mo')
    assert world.request("/health/live").status == 200
    assert world.counter() == UNTOUCHED


@pytest.mark.parametrize(
    "field",
    ["api_base", "base_url", "api_key", "extra_headers", "custom_llm_provider"],
)
def test_body__field_that_would_choose_the_upstream__is_refused(
    world: World, field: str
) -> None:
    served = world.serve("ok")
    answer = world.chat(served.model, **{field: "http://evil.example"})
    assert (answer.status, answer.error["param"]) == (400, field)
    assert world.counter() == UNTOUCHED
