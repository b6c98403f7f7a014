"""A whole answer as values, for callers from Python."""

from dataclasses import dataclass
from decimal import Decimal

import orjson

from llm.types import Reply
from valuecanvas.core import money


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to one call, with its bill and timing."""

    content: str
    cost_usd: Decimal
    cached: bool
    provider: str
    model: str
    upstream_model: str
    prompt_tokens: int
    completion_tokens: int
    request_id: str
    latency_ms: int
    ttft_ms: int | None
    attempts: int
    epoch: int


def read_completion(reply: Reply) -> Completion:
    """The completion in a chat reply; the first choice's text, '' for a tool call."""
    message = orjson.loads(reply.body)["choices"][0]["message"]
    summary = reply.summary
    return Completion(
        content=message.get("content") or "",
        cost_usd=money.to_usd(summary.cost),
        cached=summary.cached,
        provider=summary.provider,
        model=summary.model,
        upstream_model=summary.upstream_model,
        prompt_tokens=summary.tokens.prompt,
        completion_tokens=summary.tokens.completion,
        request_id=summary.request_id,
        latency_ms=summary.latency_ms,
        ttft_ms=summary.ttft_ms,
        attempts=summary.attempts,
        epoch=summary.epoch,
    )
