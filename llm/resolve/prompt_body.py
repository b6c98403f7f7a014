"""Inserts a stored prompt's text and settings into the body of a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm.resolve.prompt_parameters import adapt_parameters, join_lists
from valuecanvas.core.parameters import CAPS

# Objects that are merged field by field.
_IN_FIELDS = ("text", "reasoning")


@dataclass(frozen=True, slots=True)
class PromptWords:
    """A rendered version. With `model_stands` its model overrides the client's."""

    messages: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    model: str | None
    model_stands: bool


@dataclass(frozen=True, slots=True)
class Filled:
    """A body, and its fields that an operator set."""

    body: dict[str, Any]
    preset: frozenset[str] = frozenset()


def insert_prompt(endpoint: str, body: Mapping[str, Any], words: PromptWords) -> Filled:
    """`body` with the prompt's messages before the client's own."""
    own = {name: value for name, value in body.items() if name != "prompt"}
    given = adapt_parameters(endpoint, words.parameters)
    if any(own.get(name) for name in CAPS):
        given = _uncap(given)
    found = _merge(own, given)
    if words.model and (words.model_stands or not own.get("model")):
        found["model"] = words.model
    messages = [dict(message) for message in words.messages]
    name = "input" if endpoint == "responses" else "messages"
    found[name] = _joined(messages, own.get(name))
    return Filled(found, frozenset(given.keys() - own.keys()))


def override_parameters(
    endpoint: str, before: Filled, wanted: Mapping[str, Any]
) -> Filled:
    """`before` with its parameters replaced by `wanted`."""
    given = adapt_parameters(endpoint, wanted)
    kept = before.body
    if any(name in given for name in CAPS):
        kept = _uncap(kept)
    return Filled(_merge(given, kept), before.preset | given.keys())


def merge_parameters(
    parameters: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Mapping[str, Any]:
    """A version's parameters, overridden by a flag's."""
    if not wanted:
        return parameters
    kept = _uncap(parameters) if not wanted.keys().isdisjoint(CAPS) else parameters
    return {**kept, **wanted}


def _merge(first: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Both; `first` overrides `others`."""
    found = {**others, **first}
    for name in _IN_FIELDS:
        one, other = first.get(name), others.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found[name] = {**other, **one}
    if "include" in first and "include" in others:
        found["include"] = join_lists(first["include"], others["include"])
    return found


def _uncap(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {n: value for n, value in parameters.items() if n not in CAPS}


def _joined(messages: list[Any], given: Any) -> Any:
    """Join the messages; the checks refuse anything that is no text or list."""
    if given is None or given == "":
        return messages
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    return [*messages, *given] if isinstance(given, list) else given
