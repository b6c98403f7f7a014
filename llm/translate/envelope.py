"""The members of a Response besides its output: outcome, usage, echo of the request."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from llm.metering import usage_forms
from llm.translate.items import Status
from llm.translate.tools import with_mode
from llm.translate.typed_fields import Json

# How a chat ended -> why its Response is incomplete. All other ends are complete.
CUT_SHORT: Final[Mapping[str, str]] = MappingProxyType(
    {"length": "max_output_tokens", "content_filter": "content_filter"}
)
TIERS: Final = frozenset(
    {"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"}
)
# What a Response repeats; values of another type were ignored, so are not repeated.
ECHOED: Final[Mapping[str, tuple[type | tuple[type, ...], Any]]] = MappingProxyType(
    {
        "frequency_penalty": ((int, float), 0),
        "instructions": (str, None),
        "max_output_tokens": (int, None),
        "max_tool_calls": (int, None),
        "metadata": (dict, {}),
        "parallel_tool_calls": (bool, True),
        "presence_penalty": ((int, float), 0),
        "prompt_cache_key": (str, None),
        "safety_identifier": (str, None),
        "temperature": ((int, float), 1),
        "top_logprobs": (int, 0),
        "top_p": ((int, float), 1),
        "user": (str, None),
    }
)
# The words of the specification; a provider may know others.
_EFFORTS = ("none", "low", "medium", "high", "xhigh")
_SUMMARIES = ("concise", "detailed", "auto")
_VERBOSITIES = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class TranslationStatus:
    """The status of a Response, and why it is incomplete if it is."""

    status: str
    incomplete_details: Json | None = None
    error: Json | None = None

    @property
    def item_status(self) -> Status:
        return "completed" if self.status == "completed" else "incomplete"


def outcome(finish_reason: object) -> TranslationStatus:
    reason = CUT_SHORT.get(finish_reason) if isinstance(finish_reason, str) else None
    if reason:
        return TranslationStatus("incomplete", incomplete_details={"reason": reason})
    return TranslationStatus("completed")


def head(
    reply: Json,
    request: Json,
    *,
    response_id: str,
    created: int,
    state: TranslationStatus,
) -> Json:
    """The members that may change while a Response grows, except output, usage and end.

    `reply` is a chat completion or any chunk of one; `created` is in Unix seconds.
    """
    tier = reply.get("service_tier") or request.get("service_tier")
    model = reply.get("model")
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": state.status,
        "error": state.error,
        "incomplete_details": state.incomplete_details,
        "model": model if isinstance(model, str) else request.get("model") or "",
        "service_tier": _one_of(TIERS, tier, "default"),
    }


def echo(request: Json) -> Json:
    """The members that repeat the request, with defaults filled in."""
    reasoning = request.get("reasoning") or {}
    return {
        **{name: _echoed(request.get(name), *ECHOED[name]) for name in ECHOED},
        "background": False,
        "previous_response_id": None,
        "reasoning": {
            "effort": _one_of(_EFFORTS, reasoning.get("effort"), None),
            "summary": _one_of(_SUMMARIES, reasoning.get("summary"), None),
        },
        # Always false: it can't be fetched again by its id.
        "store": False,
        "text": _text(request.get("text") or {}),
        "tool_choice": with_mode(request.get("tool_choice") or "auto"),
        "tools": [_tool(tool) for tool in request.get("tools") or ()],
        "truncation": request.get("truncation") or "disabled",
    }


def usage_of(usage: object) -> Json | None:
    """Token counts under their Responses names; None if the chat reported none."""
    if not usage or not isinstance(usage, dict):
        return None
    reported = usage_forms.parse(usage)
    taken, given = reported.prompt or 0, reported.completion or 0
    return {
        "input_tokens": taken,
        "input_tokens_details": {
            "cached_tokens": reported.cached,
            "cache_write_tokens": reported.written,
        },
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": reported.reasoning},
        "total_tokens": taken + given,
    }


def _echoed(value: Any, kind: type | tuple[type, ...], default: Any) -> Any:
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return value if fits else default


def _one_of(words: Any, value: object, default: str | None) -> str | None:
    return value if isinstance(value, str) and value in words else default


def _text(text: Json) -> Json:
    shape: Json = text.get("format") or {"type": "text"}
    if shape.get("type") == "json_schema":
        shape = {"description": None, **shape, "strict": shape.get("strict") is True}
    verbosity = _one_of(_VERBOSITIES, text.get("verbosity"), None)
    return {"format": shape, **({"verbosity": verbosity} if verbosity else {})}


def _tool(tool: Json) -> Json:
    if tool["type"] != "function":
        return tool
    return {"description": None, "parameters": None, "strict": False, **tool}
