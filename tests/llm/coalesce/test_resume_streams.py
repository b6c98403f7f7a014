"""A stream that goes on where another one broke off."""

import random
from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from llm.coalesce.resume import CannotResume, StreamResumption, error_event
from llm.upstream.sse import MOST_EVENT_BYTES

DONE = b"data: [DONE]\n\n"
COST = b": x-valuecanvas-cost-usd=0.000001\n\n"


def event(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event({"id": "c", "choices": [choice]})


def texts(*pieces: str) -> list[bytes]:
    return [chunk(content=piece) for piece in pieces]


ROLE, END = chunk(role="assistant", content=""), chunk("stop")


def text_of(stream: bytes) -> str:
    lines = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {")]
    deltas = [orjson.loads(line)["choices"][0]["delta"] for line in lines]
    return "".join(delta.get("content") or "" for delta in deltas)


def resumed(passed: Iterable[bytes], *parts: bytes) -> bytes:
    resume = StreamResumption(list(passed))
    out = b"".join(resume.feed(part) for part in parts)
    resume.end()
    return out


def test_resume__nothing_was_passed__passes_all_as_it_is() -> None:
    assert resumed([], ROLE, b"data: half", b": x\n\n") == ROLE + b"data: half: x\n\n"


def test_resume__same_answer_in_other_pieces__goes_on_where_it_broke_off() -> None:
    source = random.Random(3)
    answer = "".join(source.choices("abcäöü語 \n", k=60))

    def cut(text: str) -> list[bytes]:
        places = sorted(source.choices(range(len(text) + 1), k=8))
        edges = zip([0, *places], [*places, len(text)], strict=True)
        return [chunk(content=text[a:b]) for a, b in edges]

    for length in range(len(answer) + 1):
        passed = [ROLE, *cut(answer[:length])]
        stream = b"".join([ROLE, *cut(answer), END, COST, DONE])
        parts = [stream[i : i + 37] for i in range(0, len(stream), 37)]
        out = resumed(passed, *parts)
        assert text_of(b"".join(passed) + out) == answer
        assert out.endswith(END + DONE)


@pytest.mark.parametrize(
    "stream",
    [
        [ROLE, *texts("Good", "bye")],
        [ROLE, *texts("Hel"), END, DONE],
        [ROLE, *texts("Hel"), DONE],
        [DONE],
        [ROLE, *texts("Hel")],
        [],
        [chunk(reasoning_content="Hm.")],
        [chunk(tool_calls=[{"index": 0}])],
        [b"data: {\n\n"],
        [b"data: []\n\n"],
        [chunk(content=["Hello"])],
        [b"data: " + b"x" * MOST_EVENT_BYTES + b"\n\n"],
    ],
)
def test_resume__another_beginning_or_none__cannot(stream: list[bytes]) -> None:
    with pytest.raises(CannotResume):
        resumed([ROLE, *texts("Hel", "lo")], *stream)


@pytest.mark.parametrize(
    "passed",
    [
        chunk(tool_calls=[{"index": 0, "function": {"name": "f"}}]),
        chunk(reasoning_content="Hm."),
        chunk(refusal="No."),
        event({"choices": [{"index": 1, "delta": {"content": "x"}}]}),
        event({"choices": [{"delta": {}}, {"delta": {}}]}),
    ],
)
def test_resume__more_than_plain_text_was_passed__cannot(passed: bytes) -> None:
    with pytest.raises(CannotResume):
        StreamResumption([ROLE, passed])


def test_resume__new_stream_breaks_off_before_the_old__passes_its_error() -> None:
    error = event({"error": {"code": "stream_interrupted"}})
    assert resumed([ROLE, *texts("Hello")], ROLE, *texts("He"), error) == error


def test_resume__usage_chunk__comes_at_the_end() -> None:
    usage = event({"choices": [], "usage": {"total_tokens": 3}})
    stream = [ROLE, *texts("Hello"), END, usage, DONE]
    assert resumed([ROLE, *texts("He")], *stream).endswith(END + usage + DONE)
    assert resumed([ROLE, usage, *texts("He")], *stream).endswith(DONE)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (None, "stream_interrupted"),
        ("ledger_unavailable", "stream_interrupted"),
        ("server_shutdown", "server_shutdown"),
    ],
)
def test_error_event__of_a_request__says_what_happened(
    code: str | None, told: str
) -> None:
    error = orjson.loads(error_event("r-1", code)[6:])["error"]
    assert (error["code"], error["request_id"]) == (told, "r-1")
    assert {"message", "type", "param"} <= error.keys()


def test_resume__old_text_ends_in_the_last_chunk__its_end_is_passed_on() -> None:
    last = {"index": 0, "delta": {"content": "lo."}, "finish_reason": "stop"}
    told = event({"id": "c", "choices": [last], "usage": {"prompt_tokens": 1}})
    out = resumed([ROLE, *texts("Hel", "lo.")], ROLE, *texts("Hel"), told, DONE)
    chunk, done = out.removeprefix(b"data: ").split(b"\n\ndata: ")
    assert orjson.loads(chunk) == {
        "id": "c",
        "choices": [{**last, "delta": {}}],
        "usage": {"prompt_tokens": 1},
    }
    assert done == b"[DONE]\n\n"
    with pytest.raises(CannotResume):
        resumed([ROLE, *texts("lo. More")], event({"choices": [last]}))
