"""A stored prompt in the words of our own API; OpenAI's endpoints call it `prompt`."""

from collections.abc import Mapping
from typing import Any

from valuecanvas.core.errors import GatewayError, InvalidRequest

# Our fields -> those of `prompt`.
FIELDS = {
    "promptKey": "id",
    "promptVersion": "version",
    "promptLabel": "label",
    "promptVariables": "variables",
}


def parse_stored_prompt(given: Mapping[str, Any]) -> dict[str, Any]:
    """The `prompt` that the fields of `given` name; empty without any.

    Raises InvalidRequest.
    """
    stored = {sent: given[name] for name, sent in FIELDS.items() if name in given}
    if stored and not (isinstance(stored.get("id"), str) and stored["id"]):
        raise InvalidRequest(
            "'promptKey' is the key of a stored prompt, a text.", param="promptKey"
        )
    return stored


def rename_fields(error: GatewayError) -> None:
    """Name the fields in an error as our API does: 'prompt.variables' is
    'promptVariables'.
    """
    for name, inside in FIELDS.items():
        error.message = error.message.replace(f"'prompt.{inside}", f"'{name}")
        if error.param and error.param.startswith(f"prompt.{inside}"):
            error.param = error.param.replace(f"prompt.{inside}", name, 1)
