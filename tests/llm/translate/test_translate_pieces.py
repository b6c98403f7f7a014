"""However an answer is cut into chunks, its stream tells the whole of it."""

import random

import orjson
import pytest

from llm.translate import to_response
from tests.llm.chat_chunks import CALL_EVENTS, REQUEST, USAGE, call, chunk, joined, run


def pieces(text, dice):
    """`text` in pieces of random length, some of them empty."""
    while text:
        length = dice.randrange(0, 6)
        yield text[:length]
        text = text[length:]


ALPHABET = 'ab {}[]":,\\\n\u2028\u00e9\U0001f600'


def message(dice):
    def text(most):
        return "".join(dice.choices(ALPHABET, k=dice.randrange(most)))

    calls = [
        {
            "id": f"call_{i}",
            "function": {
                "name": "f",
                "arguments": orjson.dumps({text(4): text(9)}).decode(),
            },
        }
        for i in range(dice.randrange(4))
    ]
    return {
        "reasoning": text(20),
        "content": text(60),
        "refusal": text(15),
        "tool_calls": calls,
    }


def chunked(said, dice):
    for name in ("reasoning", "content", "refusal"):
        for piece in pieces(said[name], dice):
            yield chunk(**{name: piece})
    for i, made in enumerate(said["tool_calls"]):
        yield chunk(tool_calls=[call(i, made["id"], "f")])
        for piece in pieces(made["function"]["arguments"], dice):
            yield chunk(tool_calls=[call(i, arguments=piece)])


@pytest.mark.parametrize("seed", range(150))
def test_stream__any_answer_in_any_pieces__equals_the_answer_in_one(seed):
    dice = random.Random(seed)
    said = message(dice)
    finish = dice.choice(["stop", "length"])
    events = run(*chunked(said, dice), chunk(finish), {"choices": [], "usage": USAGE})
    whole = to_response(
        {
            "model": "upstream",
            "choices": [{"message": said, "finish_reason": finish}],
            "usage": USAGE,
        },
        request=REQUEST,
        response_id="resp_ab",
        created=1_700_000_000,
    )
    assert events[-1]["response"] == whole
    names = {"reasoning_summary_text": "reasoning", "output_text": "content"}
    for kind in (*names, "refusal"):
        name = names.get(kind, kind)
        found = [e["delta"] for e in events if e["type"] == f"response.{kind}.delta"]
        assert "".join(found) == said[name]
    for index, item in enumerate(whole["output"]):
        if item["type"] == "function_call":
            assert joined(events, CALL_EVENTS[1], index) == item["arguments"]
