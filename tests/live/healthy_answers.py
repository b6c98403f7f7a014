"""What a healthy provider may answer to one caller's requests, whole and streamed."""

from collections.abc import Callable
from typing import Any

import orjson

from tests.live.scripted import DONE, HELLO, NO_KEY, ROLE, WHOLE, event, said

# The answer to a request that is streamed, or not.
Answer = Callable[[bool], bytes]
WORDS = "The request cannot be served."
# All statuses of 4xx that are registered or in use, but 429: that one is the account's.
STATUSES = [*range(400, 419), *range(421, 427), 428, 431, 451, 498, 499]
CALLERS = [
    {"type": "invalid_request_error"},
    {"type": "invalid_request_error", "code": "context_length_exceeded"},
    {"type": "BadRequestError", "code": 400},
    {"code": "content_filter"},
    {"code": "content_policy_violation"},
    {"code": "model_not_found"},
    {"code": "data_inspection_failed"},
    {"code": 413},
    {"code": "422"},
    {"code": 3},
    {"status": "INVALID_ARGUMENT"},
    {"status": "FAILED_PRECONDITION"},
    {"code": "unsupported_parameter"},
    {"code": 403},
    {"code": 451},
]
BODIES: dict[str, Any] = {
    "empty": b"",
    "openai": {"error": {"message": WORDS, "type": "invalid_request_error"}},
    "text": WORDS.encode(),
    "detail": {"detail": [{"loc": ["body"], "msg": WORDS}]},
    "page": f"<html><h1>{WORDS}</h1></html>".encode(),
    "key": NO_KEY,
}
CONTENTS: dict[str, Any] = {
    "empty": "",
    "null": None,
    "list": [{"type": "text", "text": "Hi."}],
    "thoughts": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}],
    "object": {"parts": ["Hi."]},
    "number": 7,
}
MESSAGES: list[dict[str, Any]] = [
    {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
    {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}]},
    {"tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "f"}}]},
    {"tool_calls": [{"id": "1", "type": "odd", "odd": []}]},
    {"tool_calls": 5},
    {"reasoning_details": [{"text": "Hm."}], "annotations": [{"url": "x"}]},
    {"audio": {"data": "AAAA"}},
    {"function_call": {"name": "f"}},
    {"refusal": "No."},
]
USAGES: list[Any] = [
    None,
    {},
    [],
    "many",
    {"prompt_tokens": -1},
    {"total_tokens": 1e300},
]


def _refusal(status: int, body: Any) -> Answer:
    return lambda streamed: said(status, body)


def _in_band(error: dict[str, Any]) -> Answer:
    body = {"error": {"message": WORDS, **error}}

    def answer(streamed: bool) -> bytes:
        return said(200, ROLE + event(body) + DONE if streamed else body)

    return answer


def _answered(message: dict[str, Any], finish: str = "stop", **more: Any) -> Answer:
    """An answer that is complete, with these members in its message."""

    def answer(streamed: bool) -> bytes:
        name = "delta" if streamed else "message"
        full = {"role": "assistant", "content": "Hi.", **message}
        choice = {"index": 0, name: full, "finish_reason": finish}
        body = {"id": "c", "choices": [choice], **more}
        return said(200, event(body) + DONE if streamed else body)

    return answer


def _raw(whole: bytes, streamed: bytes) -> Answer:
    return lambda wants_stream: said(200, streamed if wants_stream else whole)


BIG = "x" * 3_000_000
ANSWERS: dict[str, Answer] = {
    **{
        f"{status} {name}": _refusal(status, body)
        for status in STATUSES
        for name, body in BODIES.items()
    },
    "too large for a minute": _refusal(429, {"error": "Request too large for m."}),
    "fewer tokens": _refusal(402, {"error": "You can only afford 10 tokens."}),
    "500 of a mistake": _refusal(500, {"error": {"type": "BadRequestError"}}),
    "500 lacks": _refusal(500, {"error": "image input is not supported"}),
    "501": _refusal(501, {"error": {"type": "not_supported_error"}}),
    **{f"in band {number}": _in_band(one) for number, one in enumerate(CALLERS)},
    **{f"content {n}": _answered({"content": one}) for n, one in CONTENTS.items()},
    **{f"message {n}": _answered(one) for n, one in enumerate(MESSAGES)},
    **{f"usage {n}": _answered({}, usage=one) for n, one in enumerate(USAGES)},
    **{
        f"finish {reason}": _answered({}, reason)
        for reason in ("length", "content_filter", "sensitive", "eos", "end_turn")
    },
    "error null": _answered({}, error=None),
    "error empty": _answered({}, error={}),
    "no done": _raw(orjson.dumps(WHOLE), HELLO + event({"choices": [{"finish_reason": "stop"}]})),
    "big": _answered({"content": BIG}),
    "deep": _answered({"content": orjson.loads("[" * 200 + "]" * 200)}),
}  # fmt: skip
