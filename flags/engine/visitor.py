"""A user of the Django site as an attribute for flags."""

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
    """The visitor of a page. `load_groups` runs only if a flag targets groups."""

    pk: int | None
    superuser: bool
    staff: bool
    authenticated: bool
    language: str
    load_groups: Callable[[], frozenset[int]]

    @cached_property
    def groups(self) -> frozenset[int]:
        return self.load_groups()

    def target_reason(self, facts: "VisitorFacts") -> str:
        """Why the visitor is a target of a flag; '' if not."""
        if facts.languages and self.language in facts.languages:
            return "The language is a target."
        if facts.authenticated and self.authenticated:
            return "The user is logged in."
        if facts.staff and self.staff:
            return "The user is a staff member."
        if facts.superusers and self.superuser:
            return "The user is a superuser."
        if self.pk is not None and self.pk in facts.users:
            return "The user is a target."
        if facts.groups and not self.groups.isdisjoint(facts.groups):
            return "A group of the user is a target."
        return ""
