"""The right to save flags that change the prompt label of callers."""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from flags.actor import FlagActor

# Fields of a flag that change nothing for callers.
_DESCRIPTIVE = frozenset({"note", "purpose", "tags", "owner", "expires_on"})
# Changes that switch the flag off: they need no further right.
_SAFE = {"killed": True, "archived": True, "enabled": False}


def check(
    before: Mapping[str, Any], after: Mapping[str, Any], actor: FlagActor
) -> None:
    """Check a change of such a flag that callers may notice. Raises NotPermitted."""
    if _sets_label(after) and any(_matters(name, before, after) for name in after):
        _require(actor)


def check_planned(flag: Mapping[str, Any], actor: FlagActor) -> None:
    """Check a scheduled change like `check`. Raises NotPermitted."""
    if _sets_label(flag):
        _require(actor)


def _sets_label(flag: Mapping[str, Any]) -> bool:
    effects = (one["effect"] for one in flag["variants"])
    return bool(flag["in_gateway"]) and any("prompt_label" in one for one in effects)


def _matters(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    if name in _DESCRIPTIVE or (name in _SAFE and after[name] == _SAFE[name]):
        return False
    return bool(before.get(name) != after[name])


def _require(actor: FlagActor) -> None:
    """Check the right on prompts: another app does it, named in the settings."""
    require: Callable[[FlagActor], None] = import_string(settings.FLAGS_LABEL_RIGHT)
    require(actor)
