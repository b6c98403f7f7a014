"""Server-sent events, however the network cuts them."""

import pytest

from llm.upstream.sse import MOST_EVENT_BYTES, Splitter, TooLarge


def fed(*parts: bytes) -> list[tuple[bytes, bytes]]:
    splitter = Splitter()
    return [event for part in parts for event in splitter.feed(part)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_splitter__any_cut_and_line_end__gives_the_same_events(
    end: bytes, size: int
) -> None:
    lines = [b"data: one", b"", b": ping", b"", b"event: x", b"data:two", b"",
             b"data: [DONE]", b"", b""]  # fmt: skip
    text = end.join(lines)
    parts = [text[i : i + size] for i in range(0, len(text), size)]
    assert fed(*parts) == [
        (b"data: one\n\n", b"one"),
        (b"event: x\ndata: two\n\n", b"two"),
        (b"data: [DONE]\n\n", b"[DONE]"),
    ]


def test_splitter__several_data_lines__are_one_payload() -> None:
    [(_, payload)] = fed(b"data: a\nid: 7\ndata: b\n\n")
    assert payload == b"a\nb"


def test_splitter__event_without_an_end__is_kept_as_rest() -> None:
    splitter = Splitter()
    assert list(splitter.feed(b"data: a\n\ndata: b")) == [(b"data: a\n\n", b"a")]
    assert splitter.rest == b"data: b"


@pytest.mark.parametrize("end", [b"", b"\n\n"])
def test_splitter__event_past_the_bound__is_too_large(end: bytes) -> None:
    splitter = Splitter()
    with pytest.raises(TooLarge):
        list(splitter.feed(b"data: " + b"x" * MOST_EVENT_BYTES + end))


def test_splitter__large_event_after_a_good_one__gives_the_good_one_first() -> None:
    splitter = Splitter()
    events = splitter.feed(b"data: a\n\ndata: " + b"x" * MOST_EVENT_BYTES + b"\n\n")
    assert next(events) == (b"data: a\n\n", b"a")
    with pytest.raises(TooLarge):
        next(events)
