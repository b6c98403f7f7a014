"""The lines of batches: what each asks for, or what is wrong with it."""

import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from pytest_django import Settings

from llm.jobs.lines import BatchLine, LineFault, LineReader, split_lines

URL = "/v1/chat/completions"
BODY = {"model": "m", "messages": []}


def request(**fields: Any) -> dict[str, Any]:
    """A valid line; a field that is None is left out."""
    whole = {"custom_id": "a", "method": "POST", "url": URL, "body": BODY, **fields}
    return {name: value for name, value in whole.items() if value is not None}


def read(*lines: bytes | dict[str, Any], short: bool = False) -> list[Any]:
    raw = [one if isinstance(one, bytes) else orjson.dumps(one) for one in lines]
    return list(LineReader("chat", short=short).read([b"\n".join(raw)]))


FAULTS: dict[str, tuple[bytes | dict[str, Any], str, str | None]] = {
    "no JSON": (b"{", "invalid_json_line", None),
    "no UTF-8": (b'{"custom_id":"\xff"}', "invalid_json_line", None),
    "a list": (b"[1]", "invalid_json_line", None),
    "two objects": (b"{}{}", "invalid_json_line", None),
    "a name twice": (
        orjson.dumps(request())[:-1] + b',"custom_id":"b"}',
        "invalid_json_line",
        None,
    ),
    "a name twice in the body": (
        orjson.dumps(request(body={})).replace(b"{}", b'{"model":"a","model":"b"}'),
        "invalid_json_line",
        None,
    ),
    "too deep": (b'{"custom_id":' + b"[" * 300 + b"]" * 300 + b"}", "invalid_json_line", None),
    "no custom_id": (request(custom_id=None), "missing_required_parameter", "custom_id"),
    "an empty custom_id": (request(custom_id=""), "invalid_value", "custom_id"),
    "a number as custom_id": (request(custom_id=7), "invalid_value", "custom_id"),
    "a NUL in custom_id": (request(custom_id="a\0"), "invalid_value", "custom_id"),
    "a long custom_id": (request(custom_id="a" * 257), "invalid_value", "custom_id"),
    "no method": (request(method=None), "missing_required_parameter", "method"),
    "GET": (request(method="GET"), "invalid_method", "method"),
    "no url": (request(url=None), "missing_required_parameter", "url"),
    "another url": (request(url="/v1/embeddings"), "url_mismatch", "url"),
    "a whole url": (request(url=f"http://x{URL}"), "url_mismatch", "url"),
    "no body": (request(body=None), "missing_required_parameter", "body"),
    "a text as body": (request(body="{}"), "invalid_type", "body"),
    "a stream": (request(body={**BODY, "stream": True}), "unsupported_parameter", "body.stream"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_line__at_fault__is_told_with_its_number_and_the_next_one_is_read(
    name: str,
) -> None:
    line, code, param = FAULTS[name]
    [first, fault, last] = read(request(custom_id="z"), line, request(custom_id="y"))
    assert isinstance(fault, LineFault)
    assert (fault.line, fault.code, fault.param) == (2, code, param)
    assert fault.message
    assert [first.custom_id, last.custom_id] == ["z", "y"]


def test_line__as_it_should_be__has_its_body() -> None:
    [line] = read(request(custom_id="ünï 1", extra=1))
    assert line == BatchLine(1, "ünï 1", BODY)


def test_lines__with_one_custom_id__are_told() -> None:
    found = read(request(), request(custom_id="b"), request())
    assert found[2].code == "duplicate_custom_id"
    assert (found[2].line, found[2].param) == (3, "custom_id")


@pytest.mark.parametrize("empty", [b"", b" \r", b"\t"])
def test_blank_lines__between_others__are_skipped_and_counted(empty: bytes) -> None:
    found = read(empty, request(), empty, request(custom_id="b"), empty)
    assert [one.number for one in found] == [2, 4]


def test_lines__as_windows_writes_them__are_read() -> None:
    raw = b"\xef\xbb\xbf" + orjson.dumps(request()) + b"\r\n"
    [line] = read(raw)
    assert (line.number, line.custom_id) == (1, "a")


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_file__without_lines__is_at_fault(raw: bytes) -> None:
    [fault] = read(raw)
    assert (fault.code, fault.line) == ("empty_file", None)


def test_lines__more_than_allowed__end_with_a_fault(settings: Settings) -> None:
    settings.JOBS_BATCH_LINES = 2
    lines = [request(custom_id=str(n)) for n in range(5)]
    found = read(lines[0], b"", *lines[1:])
    assert [type(one) for one in found] == [BatchLine, BatchLine, LineFault]
    assert (found[2].code, found[2].line) == ("too_many_tasks", 4)


def test_line__longer_than_a_request_may_be__is_told(settings: Settings) -> None:
    settings.LLM_MAX_BODY_BYTES = 500
    long = request(body={"model": "m" * 500})
    found = read(request(), long, request(custom_id="b"), long)
    assert [getattr(one, "code", "") for one in found] == [
        "", "request_too_large", "", "request_too_large",
    ]  # fmt: skip


def test_short_lines__of_our_own_api__may_lack_method_and_url() -> None:
    bare = request(method=None, url=None)
    assert [type(one) for one in read(bare, short=True)] == [BatchLine]
    [fault] = read({**bare, "method": "GET"}, short=True)
    assert fault.code == "invalid_method"


def test_long_line__without_an_end__takes_no_memory() -> None:
    tracemalloc.start()
    flood = (b"x" * 10_000 for _ in range(500))
    assert list(split_lines(flood, 20_000)) == [(1, None)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


pieces = st.lists(st.sampled_from([b"a", b"\n", b"bc", b"\r", b" ", b"d" * 9]))


@profile(max_examples=300, derandomize=True, deadline=None)
@given(pieces=pieces, cuts=st.lists(st.integers(1, 7), min_size=1))
def test_split__at_any_cuts__gives_the_same_lines(
    pieces: list[bytes], cuts: list[int]
) -> None:
    whole = b"".join(pieces)
    chunks: list[bytes] = []
    rest = whole
    while rest:
        cut = cuts[len(chunks) % len(cuts)]
        chunks.append(rest[:cut])
        rest = rest[cut:]
    expected = whole.removesuffix(b"\n").split(b"\n") if whole else []
    expected = expected if whole != b"\n" else [b""]
    found = list(split_lines(chunks, 12))
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    assert [one for _, one in found] == [
        line if len(line) <= 12 else None for line in expected
    ]


@profile(max_examples=300, derandomize=True, deadline=None)
@given(raw=st.binary(max_size=60), text=st.text(max_size=20))
def test_reader__of_any_bytes__names_a_fault(raw: bytes, text: str) -> None:
    lines = [raw, orjson.dumps({"custom_id": text, "body": {}})]
    for one in read(*lines, short=True):
        assert isinstance(one, BatchLine) or one.code
