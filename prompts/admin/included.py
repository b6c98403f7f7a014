"""Variables that a prompt has from the prompts that it includes."""

from collections.abc import Iterable
from typing import Any

from prompts.models import PromptVersion
from prompts.rendering import grammar
from prompts.rendering.label_names import LATEST, PRODUCTION

DEEPEST = 5


def referenced_version(reference: grammar.Reference) -> PromptVersion | None:
    """The version that a reference resolves to now."""
    of_prompt = PromptVersion.objects.filter(prompt__key=reference.key)
    if reference.version is not None:
        return of_prompt.filter(number=reference.version).first()
    if reference.at == LATEST:
        return of_prompt.order_by("-number").first()
    return of_prompt.filter(labels__name=reference.at or PRODUCTION).first()


def included_variables(
    texts: Iterable[str], depth: int = DEEPEST
) -> dict[str, dict[str, Any]]:
    """Variables of the prompts that `texts` include, by name; outer ones win."""
    found: dict[str, dict[str, Any]] = {}
    if not depth:
        return found
    for reference in _references(texts):
        version = referenced_version(reference)
        if version is not None:
            own = {one["name"]: one for one in version.variables}
            found = {**included_variables(texts_of(version), depth - 1), **own, **found}
    return found


def variables_of(version: PromptVersion) -> dict[str, dict[str, Any]]:
    """Every variable that a request for `version` may give, by name."""
    own = {one["name"]: one for one in version.variables}
    return {**own, **included_variables(texts_of(version)), **own}


def newly_needed(old: PromptVersion | None, new: PromptVersion) -> list[str]:
    """Variables that `new` requires and `old` does not."""
    if old is None:
        return []
    before = _needed(old)
    return [name for name in _needed(new) if name not in before]


def texts_of(version: PromptVersion) -> list[str]:
    if version.messages:
        return [str(one.get("content", "")) for one in version.messages]
    return [version.template]


def _needed(version: PromptVersion) -> list[str]:
    found = variables_of(version)
    return [name for name, one in found.items() if one.get("default") is None]


def _references(texts: Iterable[str]) -> list[grammar.Reference]:
    found = (one for text in texts for one in grammar.parse(text).references)
    return list(dict.fromkeys(found))
