"""Typed reads from what a provider sent; a malformed reply is its error."""

from llm.translate.fields import Json
from valuecanvas.core.errors import UpstreamError


def text_in(source: Json, name: str) -> str:
    """The string at `name`; empty for null and for none."""
    value = source.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed(name)
    return value


def object_in(source: Json, name: str) -> Json:
    """The object at `name`; empty for null and for none."""
    value = source.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed(name)
    return value


def objects_in(source: Json, name: str) -> list[Json]:
    """The list of objects at `name`; empty for null and for none."""
    value = source.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise malformed(name)
    return value


def logprobs_in(choice: Json) -> list[Json]:
    """The log probabilities of a choice; empty for older shapes of them."""
    return [
        {**_with_bytes(token), "top_logprobs": _tops(token)}
        for token in objects_in(object_in(choice, "logprobs"), "content")
    ]


def malformed(name: str) -> UpstreamError:
    return UpstreamError(
        f"The provider's reply is malformed at '{name}'.", code="malformed_reply"
    )


def _tops(token: Json) -> list[Json]:
    return [_with_bytes(top) for top in objects_in(token, "top_logprobs")]


def _with_bytes(token: Json) -> Json:
    # A chat may have null where the Responses API has a list.
    return {**token, "bytes": token.get("bytes") or []}
