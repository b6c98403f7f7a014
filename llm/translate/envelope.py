"""The Response object around its output: outcome, usage, echo of the request."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from llm import usage_forms
from llm.translate.fields import Json
from llm.translate.items import Status

# How a chat ended -> why its Response is incomplete. All other ends are complete.
CUT_SHORT: Final[Mapping[str, str]] = MappingProxyType(
    {"length": "max_output_tokens", "content_filter": "content_filter"}
)
TIERS: Final = frozenset(
    {"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"}
)
ECHOED: Final = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "temperature",
    "top_p",
    "user",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a Response stands: `status`, and why if it is not complete."""

    status: str
    incomplete_details: Json | None = None
    error: Json | None = None

    @property
    def item_status(self) -> Status:
        return "completed" if self.status == "completed" else "incomplete"


def outcome(finish_reason: object) -> Outcome:
    reason = CUT_SHORT.get(finish_reason) if isinstance(finish_reason, str) else None
    if reason:
        return Outcome("incomplete", incomplete_details={"reason": reason})
    return Outcome("completed")


def head(
    reply: Json, request: Json, *, response_id: str, created: int, state: Outcome
) -> Json:
    """What may change while a Response grows, except its output and usage.

    `reply` is a chat completion or any chunk of one; `created` is in Unix seconds.
    """
    tier = reply.get("service_tier") or request.get("service_tier")
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": state.status,
        "error": state.error,
        "incomplete_details": state.incomplete_details,
        "model": reply.get("model") or request.get("model") or "",
        "service_tier": tier if isinstance(tier, str) and tier in TIERS else None,
    }


def echo(request: Json) -> Json:
    """What a Response repeats of its request, with the defaults filled in."""
    reasoning = request.get("reasoning") or {}
    parallel = request.get("parallel_tool_calls")
    return {
        **{name: request.get(name) for name in ECHOED},
        "background": False,
        "metadata": request.get("metadata") or {},
        "parallel_tool_calls": True if parallel is None else parallel,
        "previous_response_id": None,
        "reasoning": {
            "effort": reasoning.get("effort"),
            "summary": reasoning.get("summary"),
        },
        # Whatever was asked: it can't be fetched again by its id.
        "store": False,
        "text": _text(request.get("text") or {}),
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": [_tool(tool) for tool in request.get("tools") or ()],
        "top_logprobs": request.get("top_logprobs") or 0,
        "truncation": "disabled",
    }


def usage_of(usage: object) -> Json | None:
    """Token counts under their Responses names; None if the chat reported none."""
    if not usage or not isinstance(usage, dict):
        return None
    told = usage_forms.parse(usage)
    taken, given = told.prompt or 0, told.completion or 0
    return {
        "input_tokens": taken,
        "input_tokens_details": {
            "cached_tokens": told.cached,
            "cache_write_tokens": told.written,
        },
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": told.reasoning},
        "total_tokens": taken + given,
    }


def _text(text: Json) -> Json:
    return {**text, "format": text.get("format") or {"type": "text"}}


def _tool(tool: Json) -> Json:
    return {"description": None, "parameters": None, "strict": False, **tool}
