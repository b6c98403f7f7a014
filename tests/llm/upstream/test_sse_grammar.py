"""The grammar of event streams, against a reference parser, split at every byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.upstream.sse import Splitter
from tests.sse_reference import (
    Event,
    Unreadable,
    read_standard,
    read_strictly,
)

MARK = b"\xef\xbb\xbf"
LINES = st.sampled_from(
    [b"", b"", b"data: {}", b'data:{"a": 1}', b"data:  x", b"data", b"data:", b"data: ",
     b"event: e", b"event", b"id: 7", b"retry: 5", b": OPENROUTER PROCESSING", b":",
     b" data: y", b"dataX: z", b"data: \xc3\xa4\xef\xbb\xbf", b"data: [DONE]"]
)  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Lines with ends of every kind, perhaps a mark before and half a line behind."""
    pairs = draw(st.lists(st.tuples(LINES, ENDS), max_size=14))
    start = draw(st.sampled_from([b"", MARK, MARK[:2], MARK + MARK]))
    return start + b"".join(line + end for line, end in pairs) + draw(LINES)


def fed(*parts: bytes) -> list[tuple[bytes, bytes]]:
    splitter = Splitter()
    return [event for part in parts for event in splitter.feed(part)]


def expected(stream: bytes) -> list[str]:
    return [one.data for one in read_standard(stream) if one.data.strip()]


@settings(derandomize=True, max_examples=300, deadline=None)
@given(streams())
def test_splitter__any_stream__is_read_as_the_standard_says(stream: bytes) -> None:
    wanted = expected(stream)
    cuts = [(stream[:at], stream[at:]) for at in range(len(stream) + 1)]
    single = [stream[at : at + 1] for at in range(len(stream))]
    for parts in (*cuts, single):
        found = fed(*parts)
        assert [payload.decode("utf-8", "replace") for _, payload in found] == wanted


@settings(derandomize=True, max_examples=200, deadline=None)
@given(streams())
def test_splitter__what_is_passed_on__has_no_block_without_data(stream: bytes) -> None:
    events = fed(stream)
    passed = b"".join(raw for raw, _ in events)
    kept = [one for one in read_standard(stream) if one.data.strip()]
    assert read_standard(passed) == kept
    assert passed.count(b"\n\n") == len(events)
    assert b"id:" not in passed
    assert b"OPENROUTER" not in passed


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_splitter__event_ends_with_its_blank_line__is_given_at_once(
    end: bytes,
) -> None:
    splitter = Splitter()
    assert list(splitter.feed(b"data: {}" + end + end)) == [(b"data: {}\n\n", b"{}")]
    assert list(splitter.feed(b"")) == []


def test_splitter__event_name__is_passed_on_in_one_form() -> None:
    [(raw, payload)] = fed(b": x\nevent:error\nid: 1\ndata:{}\n\n")
    assert (raw, payload) == (b"event: error\ndata: {}\n\n", b"{}")


@pytest.mark.parametrize(
    "stream",
    [
        b"data: {}\n\n: cost\n\ndata: [DONE]\n\n",
        b"id: 1\ndata: {}\n\n: cost\n\n",
        b"event: x\n\ndata: [DONE]\n\n",
        b"data: {}\n\n\ndata: [DONE]\n\n",
        b"data: [DONE]\n\ndata: {}\n\n",
    ],
)
def test_strict_reader__block_without_data__is_unreadable(stream: bytes) -> None:
    with pytest.raises(Unreadable):
        read_strictly(stream)


def test_strict_reader__comment_inside_the_last_block__is_read() -> None:
    stream = b'data: {"a": 1}\n\n: cost\ndata: [DONE]\n\n'
    assert read_strictly(stream) == [{"a": 1}, "[DONE]"]
    assert read_standard(stream)[1] == Event("", "[DONE]")
