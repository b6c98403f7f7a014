"""A chunk that is known by its bytes is read as it would be by itself."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.cache.assembly import Assembly
from llm.dialects import chat
from llm.dialects.base import Malformed
from llm.dialects.chat import ChatStream
from llm.upstream.sse import Splitter
from tests.llm.answer_streams import streams

HEAD = {"id": "c", "created": 1, "model": "m", "choices": []}


def chunk(text: Any, index: int = 0, name: str = "content", **more: Any) -> Any:
    part = {"index": index, "delta": {name: text}, "finish_reason": None}
    return {**HEAD, "choices": [part], "usage": None, **more}


def part(**members: Any) -> Any:
    return {**HEAD, "choices": [{"index": 0, "delta": {"content": "x"}, **members}]}


def read(payloads: list[bytes], *, known: bool) -> tuple[Any, ...]:
    """All that is read from a stream; with or without knowing chunks by their bytes."""
    reader, splitter = ChatStream(include_usage=False), Splitter()
    reader.assembly = Assembly()
    if not known:
        reader._pattern._tries = 4
    pieces: list[Any] = []
    try:
        for payload in payloads:
            for raw, data in splitter.feed(b"data: %b\n\n" % payload):
                pieces.append(reader.read(raw, data))
    except Malformed as error:
        pieces.append((type(error), str(error)))
    facts = reader.usage, reader.size, reader.pieces, reader.finished, reader.natural
    assembly = reader.assembly
    return pieces, facts, assembly.lossy, assembly.whole({}), assembly._size


TEXTS = st.sampled_from(
    [
        "a",
        "é",
        "\u2028",
        '"',
        "\\",
        "usage",
        "choices",
        "content",
        "m",
        "9" * 25,
        "",
        "a.",
    ]
)
CHUNKS = st.one_of(
    st.builds(chunk, TEXTS),
    st.builds(chunk, TEXTS, obfuscation=TEXTS),
    st.builds(chunk, TEXTS, index=st.sampled_from([0, 0, 1])),
    st.builds(chunk, TEXTS, name=st.sampled_from(["reasoning", "refusal", "whisper"])),
    st.builds(chunk, TEXTS, usage=st.sampled_from([None, {"prompt_tokens": 1}])),
    st.builds(part, finish_reason=st.sampled_from([None, "stop"])),
    st.builds(part, usage=st.sampled_from([None, {"prompt_tokens": 1}])),
    st.builds(part, logprobs=st.sampled_from([None, {"content": [1.5]}])),
)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    st.one_of(streams(), st.lists(CHUNKS, max_size=12)), st.booleans(), st.booleans()
)
def test_stream__any__is_read_alike_by_bytes_and_by_itself(
    chunks: list[dict[str, Any]], spaced: bool, escaped: bool
) -> None:
    gaps = (", ", ": ") if spaced else (",", ":")
    payloads = [
        json.dumps(one, separators=gaps, ensure_ascii=escaped).encode()
        for one in chunks
    ]
    assert read(payloads, known=True) == read(payloads, known=False)


START = orjson.dumps(chunk("a", obfuscation="p"))
BROKEN = {
    "no text": b'"a"',
    "a number": b"1",
    "half a text": b'"a',
    "two texts": b'"a","b"',
    "another member": b'"a","tool_calls":[1]',
    "a second text": b'"a","content":"b"',
    "bytes that are no text": b'"\xff"',
}


@pytest.mark.parametrize("place", [b'"a"', b'"p"'])
@pytest.mark.parametrize("name", BROKEN)
def test_stream__other_bytes_in_the_place_of_a_text__are_read_as_they_are(
    name: str, place: bytes
) -> None:
    payloads = [START, START, START.replace(place, BROKEN[name]), START]
    assert read(payloads, known=True) == read(payloads, known=False)


ODD: dict[str, list[bytes]] = {
    "bytes after the end": [orjson.dumps(chunk("a")), orjson.dumps(chunk("b")) + b"{}"],
    "a member that is the same text": [
        orjson.dumps(chunk("a", tier=tier)) for tier in ("a", "b", "c")
    ],
    "a name that is the same text": [
        orjson.dumps({**chunk("x_x"), name: None}) for name in ("x_x", "usage", "y")
    ],
}


@pytest.mark.parametrize("name", ODD)
def test_stream__text_that_is_elsewhere_too__is_read_as_it_is(name: str) -> None:
    assert read(ODD[name], known=True) == read(ODD[name], known=False)


FORMS: dict[str, list[Any]] = {
    "plain": [chunk(text) for text in "abcdef"],
    "padded": [chunk(text, obfuscation=text * 3) for text in "abcdef"],
    "reasoning": [chunk(text, name="reasoning_content") for text in "abcdef"],
    "with a role": [{**HEAD, "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]} for text in "abcdef"],
}  # fmt: skip


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The chunks that were parsed."""
    found: list[bytes] = []
    real = chat.parse

    def parse(payload: bytes) -> dict[str, Any]:
        found.append(payload)
        return real(payload)

    monkeypatch.setattr(chat, "parse", parse)
    return found


@pytest.mark.parametrize("name", FORMS)
def test_stream__of_texts__is_parsed_once(name: str, parsed: list[bytes]) -> None:
    pieces, *_ = read([orjson.dumps(one) for one in FORMS[name]], known=True)
    assert (len(pieces), len(parsed)) == (6, 1)


def test_stream__clock_that_goes_on__is_learned_again(
    parsed: list[bytes],
) -> None:
    chunks = [chunk(text, created=at) for at in range(10) for text in "abc"]
    read([orjson.dumps(one) for one in chunks], known=True)
    assert len(parsed) == 10
