"""Flags that lead callers to other words of a prompt: who may save them."""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from flags.actor import FlagActor

# Of a flag's document what no caller is answered by.
_TOLD = frozenset({"note", "purpose", "tags", "owner", "expires_on"})
# What ends a flag's reign, for whoever may do it: safety waits for nobody.
_SAFE = {"killed": True, "archived": True, "enabled": False}


def check(
    before: Mapping[str, Any], after: Mapping[str, Any], actor: FlagActor
) -> None:
    """Of any change to such a flag that callers may notice. Raises NotPermitted."""
    if _leads(after) and any(_counts(name, before, after) for name in after):
        _require(actor)


def check_planned(flag: Mapping[str, Any], actor: FlagActor) -> None:
    """As `check`, for a change that is to come. Raises NotPermitted."""
    if _leads(flag):
        _require(actor)


def _leads(flag: Mapping[str, Any]) -> bool:
    effects = (one["effect"] for one in flag["variants"])
    return bool(flag["in_gateway"]) and any("prompt_label" in one for one in effects)


def _counts(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if name in _TOLD or (name in _SAFE and after[name] == _SAFE[name]):
        return False
    return bool(before.get(name) != after[name])


def _require(actor: FlagActor) -> None:
    """Prompts are another app's: the wiring names who knows their rights."""
    require: Callable[[FlagActor], None] = import_string(settings.FLAGS_LABEL_RIGHT)
    require(actor)
