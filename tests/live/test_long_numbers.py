"""Whole numbers of more than 64 bits: kept as they are, or refused by name."""

import re
from typing import Any

import orjson
import pytest

from llm.runtime import Runtime
from tests.live.inside import CHAT, DONE, Exchange, chat_body, chunk, upstream
from tests.live.world import World, unique

pytestmark = pytest.mark.live

LONG = 2**64 + 1
# As a number that a float cannot hold is written, and no part of a name.
ROUNDED = re.compile(rb"[\s:,\[(]-?\d(\.\d+)?e\+?19\b")
HELD = b'"meta":{"id":%d}' % LONG
SAID = {"role": "user", "content": "hi"}
DOORS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "m", "messages": [SAID]},
    "/v1/responses": {"model": "m", "input": "hi"},
    "/v1/embeddings": {"model": "m", "input": "hi"},
    "/api/llm/complete": {"model": "m", "prompt": "hi", "userId": "u"},
    "/v1/feedback": {"request_id": "r", "score": 1},
    "/api/prompts": {"key": "k"},
    "/api/flags": {"key": "k"},
}
FLAGS = ("/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/f")


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("number", [LONG, -(2**63) - 1, 10**200])
def test_body__number_of_more_than_64_bits__is_refused_by_name(
    world: World, path: str, compact: bool, number: int
) -> None:
    body = orjson.dumps({**DOORS[path], "metadata": {"ids": [1, 0]}})
    body = body.replace(b"[1,0]", b"[1,%d]" % number)
    body = body if compact else body.replace(b":", b": ")
    key = world.new_key(scopes=["prompts:write", "flags:write"])
    answer = world.request(path, body, key=key)
    assert (answer.status, answer.error["param"]) == (400, "metadata.ids[1]")


@pytest.mark.parametrize("path", FLAGS)
def test_context_of_flags__number_of_more_than_64_bits__is_refused(
    world: World, path: str
) -> None:
    body = b'{"context": {"targetingKey": "u", "id": %d}}' % LONG
    answer = world.request(path, body, key=world.new_key(scopes=["flags:evaluate"]))
    assert (answer.status, answer.json["errorCode"]) == (400, "PARSE_ERROR")
    assert "'context.id'" in answer.json["errorDetails"]


def test_context_header__number_of_more_than_64_bits__is_refused_by_name(
    world: World,
) -> None:
    served = world.serve("ok")
    body = chat_body(served.model)
    answer = world.request(CHAT, body, x_valuecanvas_context=f'{{"id": {LONG}}}')
    assert (answer.status, answer.error["param"]) == (400, "x-valuecanvas-context.id")


async def ask(world: World, gateway: Runtime, model: str, text: str, **f: Any) -> bytes:
    body = chat_body(model, text, **f)
    return (await Exchange(gateway, CHAT, body, key=world.key).run()).body


@pytest.mark.parametrize("first", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("again", [True, False], ids=["streamed", "whole"])
async def test_answer__number_of_more_than_64_bits__is_kept_also_in_stored_ones(
    indoors: World, gateway: Runtime, first: bool, again: bool
) -> None:
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"x": 1}}
    whole = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    parts = [chunk(content="Hi"), b"data: " + orjson.dumps(end) + b"\n\n", DONE]
    script = parts if first else [orjson.dumps(whole)]
    script = [one.replace(b'"finish_reason":"stop"', b'"finish_reason":"stop",' + HELD)
              for one in script]  # fmt: skip
    text = unique("Say hello to")
    async with upstream(*script) as url:
        served = indoors.serve_at((url, "m"))
        for stream in (first, again):
            body = await ask(indoors, gateway, served.model, text, stream=stream)
            assert b"%d" % LONG in body or body.count(b"meta") == 0
            assert not ROUNDED.search(body.lower())
