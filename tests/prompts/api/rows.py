"""Prompts as rows for the tests of their endpoints."""

from typing import Any

from prompts import services
from prompts.models import Prompt
from tests.fixtures_billing import unique

ADA = services.PromptActor("ada", is_superuser=True)


def make_prompt(
    *texts: str, key: str = "", live: int | None = None, **fields: Any
) -> Prompt:
    """A text prompt with a version for each of `texts`; `live` is in production."""
    prompt = services.create_prompt(key=key or unique("p"), actor=ADA, **fields)
    for text in texts:
        services.add_version(prompt, template=text, variables=_names(text), actor=ADA)
    if live is not None:
        services.move_label(prompt, "production", live, expected=None, actor=ADA)
    return prompt


def _names(text: str) -> list[str]:
    return ["name"] if "{{name}}" in text else []
