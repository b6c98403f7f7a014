"""Picks the version of a prompt that a caller gets."""

from collections.abc import Mapping
from typing import Any

from llm.resolve import context
from llm.resolve.flag_effects import Effects
from llm.resolve.prompt_field import PromptField
from prompts.rendering import render
from prompts.rendering.label_names import LATEST, PRODUCTION
from prompts.rendering.render import ChosenVersion, PromptLibrary


def pick(
    library: PromptLibrary, asked: PromptField, known: Mapping[str, Any], found: Effects
) -> ChosenVersion:
    """The version for a caller with the attributes `known` and the flag effects `found`.

    Raises NotFound, InvalidRequest.
    """
    return render.choose(
        library,
        asked.key,
        version=asked.version,
        label=_label(library, asked, found),
        subject=known[context.SUBJECT],
        context=known,
    )


def _label(library: PromptLibrary, asked: PromptField, found: Effects) -> str | None:
    """The label; a flag may replace `production` by another one."""
    if asked.version is not None or asked.label not in (None, PRODUCTION):
        return asked.label
    prompt = library.prompts.get(asked.key)
    # Prompts without such a label are not changed.
    if prompt and found.prompt_label in (LATEST, *prompt.labels):
        return found.prompt_label
    return asked.label
