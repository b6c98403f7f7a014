"""Which fields of a request are sent on, by their name.

OpenAI's own fields are, and those that nobody here knows. Refused is what chooses where
or how a request is served, what has a price of its own, and what uses a provider's state.
Some providers read names in any case, so all spellings of a name are treated alike. A
field counts if it is present: `{}` or `false` may be priced as well.
"""

from typing import Any

from llm.dialects.responses import FIELDS as RESPONSES
from llm.request.routing_fields import MOST_LETTERS, ROUTING, is_routing, plain
from valuecanvas.core.errors import InvalidRequest
from valuecanvas.core.parameters import UPSTREAM

MOST_FIELDS = 200
_WHOLE = "Send the whole conversation in 'input'."
_UPSTREAM = "An operator chooses providers and models. Leave it out."
_ROUTED = (
    f"{_UPSTREAM[:-1]}, or have an operator list it under 'Further fields' of each "
    "provider of this model."
)
_UNPRICED = "It has a price of its own, which the gateway does not know. Leave it out."
_CAPPED = "Send 'max_tokens' (in the Responses API: 'max_output_tokens')."

CHAT = frozenset(
    {"audio", "frequency_penalty", "function_call", "functions", "logit_bias",
     "logprobs", "max_completion_tokens", "max_tokens", "messages", "metadata",
     "modalities", "model", "moderation", "n", "parallel_tool_calls", "prediction",
     "presence_penalty", "prompt_cache_key", "prompt_cache_options",
     "prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier",
     "seed", "service_tier", "stop", "store", "stream",
     "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p",
     "user", "verbosity", "web_search_options"}
)  # fmt: skip
EMBEDDINGS = frozenset({"dimensions", "encoding_format", "input", "model", "user"})
KNOWN = CHAT | RESPONSES | EMBEDDINGS
UNPRICED = frozenset(
    {"cached_content", "compound_custom", "connectors", "data_sources", "deferred",
     "enable_code_interpreter", "enable_search", "google", "plugins", "safety_model",
     "search_options", "search_parameters", "search_settings", "web_search",
     "web_search_options"}
)  # fmt: skip
CAPS = frozenset({"best_of", "max_new_tokens", "n_predict", "num_predict"})
_REFUSED = {
    **dict.fromkeys(ROUTING, _ROUTED),
    **dict.fromkeys(UPSTREAM, _UPSTREAM),
    **dict.fromkeys(UNPRICED, _UNPRICED),
    **dict.fromkeys(CAPS, _CAPPED),
}
_STORED = {
    "previous_response_id": _WHOLE,
    "conversation": _WHOLE,
    "background": "Leave it out, and wait for the answer or stream it.",
    "prompt": "Send the prompt's text in 'instructions' and 'input'.",
}
_BY_ENDPOINT = {
    "chat": _REFUSED,
    "embeddings": _REFUSED,
    "responses": {**_REFUSED, **_STORED},
}
_PASSED = {name: KNOWN - refused.keys() for name, refused in _BY_ENDPOINT.items()}
# Names inside items and parts that our other checks read.
INSIDE = frozenset(
    {"audio", "audio_url", "content", "custom", "encrypted_content", "file",
     "file_data", "file_id", "file_url", "function", "id", "image_url", "input_audio",
     "input_image", "output", "role", "type", "url", "video_url"}
)  # fmt: skip


def passed_fields(endpoint: str) -> frozenset[str]:
    """OpenAI's own fields of `endpoint` that may be sent on."""
    own = {"chat": CHAT, "embeddings": EMBEDDINGS, "responses": RESPONSES}
    return own[endpoint] & _PASSED[endpoint]


def check(
    endpoint: str, body: dict[str, Any], allowed: frozenset[str] = frozenset()
) -> None:
    """Raises InvalidRequest with the name of a field that may not be sent on.

    An operator may set fields for routing, or let clients send them to a provider: they
    are in `allowed`.
    """
    _check_number(body, "body")
    refused, passed = _BY_ENDPOINT[endpoint], _PASSED[endpoint]
    for written in [name for name in body if name not in passed]:
        name = _meant(written, _NAMES)
        if name in refused:
            neutral = written == name and _is_unset(name, body[name])
            if not (neutral or (name in ROUTING and written in allowed)):
                raise unsupported_field(written, refused[name])
        elif name and name != written:
            raise _misspelt(written, name, "")
        elif not name and written not in allowed and is_routing(written):
            raise unsupported_field(written, _ROUTED)


def check_inside(item: dict[str, Any], param: str) -> None:
    """As `check`, for an object inside the body."""
    _check_number(item, param)
    for written in [name for name in item if name not in INSIDE]:
        if name := _meant(written, _NAMES_INSIDE):
            raise _misspelt(written, name, f"{param}.")


def unsupported_field(param: str, remedy: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{param}' is not supported here. {remedy}",
        param=param,
        code="unsupported_parameter",
    )


def _meant(written: str, names: dict[str, str]) -> str:
    """The one of `names` that `written` spells; empty: none."""
    return "" if len(written) > MOST_LETTERS else names.get(plain(written), "")


_NAMES = {plain(name): name for name in (*KNOWN, *_REFUSED)}
_NAMES_INSIDE = {plain(name): name for name in INSIDE}


def _is_unset(name: str, value: Any) -> bool:
    """OpenAI's own fields may be null, as its SDKs write what is not set."""
    if value is None:
        return name in KNOWN
    return name == "background" and value is False


def _check_number(fields: dict[str, Any], param: str) -> None:
    if len(fields) > MOST_FIELDS:
        raise InvalidRequest(
            f"'{param}' may have at most {MOST_FIELDS} fields.", param=param
        )


def _misspelt(written: str, name: str, where: str) -> InvalidRequest:
    return unsupported_field(f"{where}{written}", f"Write it as '{name}'.")
