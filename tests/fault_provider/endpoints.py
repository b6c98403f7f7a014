"""The demo provider's endpoints with faults: what a behaviour makes of its answers."""

from collections.abc import Iterator

import orjson

from tests.fault_provider import answers, payload
from tests.fault_provider.behaviours import Overrides
from valuecanvas.embedded.demo_provider import chat, embeddings
from valuecanvas.embedded.demo_provider.answers import Answer
from valuecanvas.embedded.demo_provider.chat_request import (
    load_body,
    model_name,
    read_chat,
)
from valuecanvas.embedded.demo_provider.errors import error_body


def answer_chat(raw: bytes, overrides: Overrides) -> payload.FaultReply:
    """Reads a chat request and makes its answer. Raises RequestRefused."""
    request = read_chat(load_body(raw), raw)
    behaviour = overrides.behaviour(request.model)
    answer = answers.compose(request, behaviour)
    content = _stream(answer) if request.stream else _whole(answer)
    return payload.FaultReply(request.model, request.prompt_tokens, behaviour, content)


def answer_embeddings(raw: bytes, overrides: Overrides) -> payload.FaultReply:
    """Reads an embeddings request and answers it. Raises RequestRefused."""
    body = load_body(raw)
    model = model_name(body)
    behaviour = overrides.behaviour(model)
    answer = embeddings.embed(body)
    counts = answer.pop("usage")
    prompt = counts["prompt_tokens"]
    usage = answers.usage_report(prompt, 0, behaviour)
    if usage is not None:
        usage = answer["usage"] = {key: usage[key] for key in counts}
    content = payload.Whole(orjson.dumps(answer), 0, usage)
    return payload.FaultReply(model, prompt, behaviour, content)


def _whole(answer: Answer) -> payload.Whole:
    body = orjson.dumps(chat.completion(answer))
    return payload.Whole(body, answer.completion_tokens, answer.usage)


def _stream(answer: Answer) -> payload.Stream:
    lead, content = answer.request.n, answer.completion_tokens
    half = chat.chunk(answer, 0, {"content": ""})[:-42] + b"\n\n"
    return payload.Stream(
        frames=_frames(answer, lead, lead + content),
        lead=lead,
        content=content,
        half=payload.frame_chunk(half),
        error=payload.sse(error_body(500)),
        usage=answer.usage if answer.request.include_usage else None,
    )


def _frames(answer: Answer, start: int, end: int) -> Iterator[payload.Frame]:
    """The events as HTTP chunks; those from `start` to `end` carry a token."""
    for number, event in enumerate(chat.events(answer)):
        yield payload.frame_chunk(event), int(start <= number < end)
