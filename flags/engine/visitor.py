"""A user of the Django site, as flags target one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flags.engine.flag_facts import VisitorFacts

# The attribute that holds the Visitor.
VISITOR = "django"


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page. `load_groups` is asked only if a flag names groups."""

    pk: int | None
    superuser: bool
    staff: bool
    authenticated: bool
    language: str
    load_groups: Callable[[], frozenset[int]]

    @cached_property
    def groups(self) -> frozenset[int]:
        return self.load_groups()

    def named_by(self, facts: "VisitorFacts") -> str:
        """Why the visitor has a flag in any case; empty: no reason."""
        if facts.languages and self.language in facts.languages:
            return "The language is named."
        if facts.authenticated and self.authenticated:
            return "The user has logged in."
        if facts.staff and self.staff:
            return "The user is of the staff."
        if facts.superusers and self.superuser:
            return "The user is a superuser."
        if self.pk is not None and self.pk in facts.users:
            return "The user is named."
        if facts.groups and not self.groups.isdisjoint(facts.groups):
            return "A group of the user is named."
        return ""
