"""Makes the benchmark's requests and checks their answers."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bench.plan import Kind

HIT_PROMPTS = 8
_SYSTEM = (
    "You help a product team to understand its customers. "
    "Answer in plain words and stay with what the team has told you."
)
# The demo provider's answer depends on the words of the last message, not on numbers.
_USER = (
    "Team {number}: our customers run small bakeries, they order flour by telephone, "
    "and they lose an hour a day to it. Which pains and gains should we write down?"
)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def body(kind: Kind, model: str, number: int) -> bytes:
    """The JSON body of request `number`: unique for misses and streams."""
    request: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": _USER.format(number=number)},
        ],
        "temperature": 0,
        "max_tokens": 256,
    }
    if kind == "stream":
        request["stream"] = True
        request["stream_options"] = {"include_usage": True}
    return json.dumps(request).encode()


def context(number: int) -> bytes:
    """The JSON body of a flag's evaluation: another user each time."""
    attributes = {"targetingKey": f"user-{number}", "tier": "pro", "country": "SE"}
    return json.dumps({"context": attributes}).encode()


def pick(kind: Kind, number: int, keys: int) -> tuple[int, int]:
    """The key and the prompt number of a request; hits repeat a few prompts a key."""
    key = number % keys
    if kind == "hit":
        return key, (number // keys) % HIT_PROMPTS
    return key, number


@dataclass(frozen=True)
class Content:
    """The text, finish reason and completion tokens of an answer."""

    text: str
    finish: str
    tokens: int


class NotAnAnswerError(ValueError):
    """The body is no chat completion, or a stream that was cut."""


def problem(kind: Kind, answer: Answer, *, expected: str) -> str:
    """Why this is not the expected answer, or "" if it is.

    A refusal is expected by its code.
    """
    if kind == "refused" and answer.status == 429:
        code = json.loads(answer.body)["error"]["code"]
        return "" if code == expected else f"refused: {code}"
    if answer.status != 200:
        return f"status {answer.status}: {_error(answer.body)}"
    if kind in _OWN:
        text = _OWN[kind](answer.body)
        return "" if text == expected else f"not the {kind}: {text[:100]!r}"
    if kind == "hit" and answer.headers.get("x-valuecanvas-cache") != "hit":
        return f"cache: {answer.headers.get('x-valuecanvas-cache', 'no header')}"
    try:
        content = read(kind, answer.body)
    except NotAnAnswerError as error:
        return str(error)
    if content.text != expected:
        return f"content {content.text[:100]!r}, not {expected[:100]!r}"
    if content.finish != "stop":
        return f"finish_reason {content.finish!r}"
    return "" if content.tokens > 0 else "no usage"


def read(kind: Kind, raw: bytes) -> Content:
    """Parse a body of that kind. Raises NotAnAnswerError."""
    try:
        return _read_stream(raw) if kind == "stream" else _read_plain(raw)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotAnAnswerError(f"{error!r} in {_excerpt(raw)}") from error


def _template(raw: bytes) -> str:
    try:
        return str(json.loads(raw)["template"])
    except (ValueError, LookupError, TypeError):
        return _excerpt(raw)


def _variant(raw: bytes) -> str:
    try:
        return str(json.loads(raw)["variant"])
    except (ValueError, LookupError, TypeError):
        return _excerpt(raw)


def _count_flags(raw: bytes) -> str:
    """The number of the benchmark's flags that are on."""
    try:
        flags = json.loads(raw)["flags"]
        ours = [one for one in flags if one["key"].startswith("bench-")]
        return str(sum(one["variant"] == "on" for one in ours))
    except (ValueError, LookupError, TypeError):
        return _excerpt(raw)


_OWN = {"fetch": _template, "flag": _variant, "flags": _count_flags}


def _read_plain(raw: bytes) -> Content:
    answer = json.loads(raw)
    choice = answer["choices"][0]
    tokens = int(answer["usage"]["completion_tokens"])
    return Content(choice["message"]["content"], choice["finish_reason"], tokens)


def _read_stream(raw: bytes) -> Content:
    events = [line[6:] for line in raw.split(b"\n") if line.startswith(b"data: ")]
    if not events or events[-1].strip() != b"[DONE]":
        raise ValueError("no [DONE]")
    pieces: list[str] = []
    finish, tokens = "", 0
    for event in events[:-1]:
        chunk = json.loads(event)
        tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
        for choice in chunk["choices"]:
            pieces.append(choice["delta"].get("content") or "")
            finish = choice.get("finish_reason") or finish
    return Content("".join(pieces), finish, tokens)


def _error(raw: bytes) -> str:
    """The error message, without the request id, so that equal errors look the same."""
    try:
        return str(json.loads(raw)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return _excerpt(raw)


def _excerpt(raw: bytes) -> str:
    return raw[-200:].decode(errors="replace")
