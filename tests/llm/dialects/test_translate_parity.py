"""What a chat provider says and /v1/chat/completions passes on, /v1/responses does too."""

import random
from typing import Any

import orjson
import pytest

from llm import dialects
from llm.dialects.base import Malformed, Sort
from tests.llm.chat_chunks import USAGE
from tests.llm.dialects.test_dialects_readers import (
    candidate,
    chat_reader,
    held,
    read,
    translated,
)
from tests.llm.translate.test_translate_refusals import spoiled
from tests.open_responses import check_response, check_stream

Json = dict[str, Any]
SAID: Json = {
    "role": "assistant",
    "content": "a",
    "reasoning": "r",
    "refusal": "n",
    "tool_calls": [
        {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}},
        {"index": 1, "id": "2", "function": {"name": "g", "arguments": "{}"}},
    ],
    "function_call": {"name": "f", "arguments": "{"},
}
TOKEN = {"token": "a", "logprob": -1, "bytes": [1], "top_logprobs": []}
CHOICE = {"index": 0, "logprobs": {"content": [TOKEN]}, "finish_reason": "stop"}
HEAD = {"id": "c", "model": "m", "service_tier": "default", "usage": USAGE}
CHUNK = {**HEAD, "choices": [{**CHOICE, "delta": SAID}]}
WHOLE = {**HEAD, "choices": [{**CHOICE, "message": SAID}]}


@pytest.mark.parametrize("seed", range(10))
def test_stream__chunk_that_a_chat_passes_on__is_translated(seed: int) -> None:
    dice = random.Random(seed)
    passed = 0
    for _ in range(60):
        chunk = spoiled(CHUNK, dice)
        try:
            piece = read(chat_reader(), chunk)
        except Malformed:
            continue
        if piece.sort is not Sort.ERROR:
            reader = translated()
            out = read(reader, chunk).out
            check_stream(out + reader.ending())
            passed += 1
    assert passed > 20


@pytest.mark.parametrize("seed", range(10))
def test_whole__reply_that_a_chat_passes_on__is_translated(seed: int) -> None:
    dice = random.Random(seed)
    passed = 0
    for _ in range(60):
        reply = spoiled(WHOLE, dice)
        if not isinstance(reply, dict):
            continue
        raw = orjson.dumps(reply)
        chat, responses = (
            dialects.choose(endpoint, candidate()) for endpoint in ("chat", "responses")
        )
        try:
            chat.whole(held(input="x"), reply, raw)
        except Malformed:
            continue
        check_response(orjson.loads(responses.whole(held(input="x"), reply, raw).body))
        passed += 1
    assert passed > 20
