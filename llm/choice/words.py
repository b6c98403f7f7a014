"""A stored prompt's words and settings, put into the body of a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valuecanvas.core.parameters import RESERVED

# One cap under several names: a client's beats the version's, whatever its name.
CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Words:
    """A version, rendered. With `model_stands` its model beats the client's."""

    messages: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    model: str | None
    model_stands: bool


def filled(endpoint: str, body: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """`body` with the prompt's words first and the client's own after them."""
    own = {name: value for name, value in body.items() if name != "prompt"}
    given = _parameters(endpoint, words.parameters)
    if any(own.get(name) for name in CAPS):
        given = _uncapped(given)
    found = {**given, **own}
    if words.model and (words.model_stands or not own.get("model")):
        found["model"] = words.model
    messages = [dict(message) for message in words.messages]
    name = "input" if endpoint == "responses" else "messages"
    found[name] = _joined(messages, own.get(name))
    return found


def overruled(
    endpoint: str, body: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, Any]:
    """`body` with the parameters `wanted` in place of its own."""
    found = _parameters(endpoint, wanted)
    kept = _uncapped(body) if found.keys() & set(CAPS) else body
    return {**kept, **found}


def _uncapped(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {n: value for n, value in parameters.items() if n not in CAPS}


def _joined(messages: list[Any], given: Any) -> Any:
    """What is neither words nor a list of them is left for the checks to refuse."""
    if given is None or given == "":
        return messages
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    return [*messages, *given] if isinstance(given, list) else given


def _parameters(endpoint: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What may be set of `given`, by the names that the endpoint has for it."""
    found = {n: value for n, value in given.items() if n not in RESERVED}
    caps = [found.pop(name) for name in CAPS if name in found]
    if caps:
        name = "max_output_tokens" if endpoint == "responses" else "max_tokens"
        found[name] = caps[0]
    if endpoint == "responses" and "response_format" in found:
        found["text"] = {"format": _format(found.pop("response_format"))}
    return found


def _format(given: Any) -> Any:
    """Chat's response_format as the Responses API has it: one level flatter."""
    if isinstance(given, dict) and isinstance(given.get("json_schema"), dict):
        return {"type": "json_schema", **given["json_schema"]}
    return given
