"""Reads which stored prompt a request names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm.translate.typed_fields import refuse_unknown
from valuecanvas.core.errors import InvalidRequest

_FIELDS = ("id", "label", "variables", "version")
_EXAMPLE = (
    "'prompt' must be an object such as "
    '{"id": "canvas.generate", "variables": {"industry": "retail"}}.'
)


@dataclass(frozen=True, slots=True)
class PromptField:
    """A prompt by its key; the label is `production` by default."""

    key: str
    version: int | None
    label: str | None
    variables: Mapping[str, Any]


def parse(endpoint: str, body: Mapping[str, Any]) -> PromptField | None:
    """The prompt that `body` names; None: it has its own text.

    The shape is OpenAI's `prompt` of the Responses API, plus `label`. Raises
    InvalidRequest.
    """
    given = body.get("prompt")
    if given is None or endpoint == "embeddings":
        return None
    if not isinstance(given, dict):
        raise InvalidRequest(_EXAMPLE, param="prompt")
    refuse_unknown(given, _FIELDS, within="prompt.")
    key = given.get("id")
    if not isinstance(key, str) or not key:
        raise InvalidRequest(
            "'prompt.id' is required: the key of a prompt.", param="prompt.id"
        )
    version, label = _version(given.get("version")), _label(given.get("label"))
    if version is not None and label is not None:
        raise InvalidRequest(
            "Name a 'prompt.version' or a 'prompt.label', not both.",
            param="prompt.label",
        )
    return PromptField(key, version, label, _variables(given.get("variables")))


def _version(given: Any) -> int | None:
    """The version, as a number or as a text, as OpenAI writes it."""
    if given is None:
        return None
    number = int(given) if isinstance(given, str) and _digits(given) else given
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InvalidRequest(
            "'prompt.version' must be a whole number from 1.", param="prompt.version"
        )
    return number


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _label(given: Any) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or not given:
        raise InvalidRequest("'prompt.label' must be a text.", param="prompt.label")
    return given


def _variables(given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidRequest(
            "'prompt.variables' must be an object: a value for each name.",
            param="prompt.variables",
        )
    return {name: _plain(name, value) for name, value in given.items()}


def _plain(name: str, value: Any) -> Any:
    """The value of a variable: a text may be wrapped, pictures and files are refused."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return value
    if value["type"] == "input_text" and isinstance(value.get("text"), str):
        return value["text"]
    if value["type"] in ("input_image", "input_file"):
        raise InvalidRequest(
            f"The variable '{name}' holds a picture or file; send it in the input, "
            "beside the prompt.",
            param=f"prompt.variables.{name}",
        )
    return value
