"""Evaluates the flags of a request, and what they change in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flags.engine.evaluation import FlagSet, evaluate

# Flags of the gateway's own parts: a part is off only if its flag is false.
OWN = "gateway."


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of all flags. If two conflict, the later name wins."""

    values: Mapping[str, Any] = field(default_factory=dict)
    off: frozenset[str] = frozenset()
    prompt_label: str | None = None
    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def evaluate_flags(flags: FlagSet, context: Mapping[str, Any], now: float) -> Effects:
    """Each flag of the gateway, evaluated once for the caller of `context`."""
    values: dict[str, Any] = {}
    off = set()
    label = model = None
    parameters: dict[str, Any] = {}
    for name in flags.in_gateway:
        found = evaluate(flags, name, context, now=now)
        if name.startswith(OWN):
            if found.value is False:
                off.add(name.removeprefix(OWN))
                values[name] = "off"
            continue
        values[name] = found.variant or found.value
        effect = flags.flags[name].effect(found.variant)
        if effect:
            label = effect.get("prompt_label", label)
            model = effect.get("model", model)
            parameters |= effect.get("parameters", {})
    return Effects(values, frozenset(off), label, model, parameters)
