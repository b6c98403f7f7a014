"""What the sources of alerts return."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from billing.models import AlertRule


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds now. `key` names it within its rule, and never changes.

    `once`: it fires only once for its key, even if it ceases and comes back.
    """

    key: str
    summary: str
    details: dict[str, Any] = field(default_factory=dict)
    # A path of the console.
    link: str = ""
    once: bool = False


# Finds the conditions of a rule's kind that hold now. What it raises is logged.
Source = Callable[[AlertRule], Iterable[Condition]]
