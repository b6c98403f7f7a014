"""Who changes a prompt, and which labels they may move."""

from dataclasses import dataclass
from typing import Any, Self

from django.contrib.auth.models import User

from prompts.models import ProtectedLabel
from valuecanvas.core.errors import NotPermitted


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, an API key or the gateway itself, as the audit will name it."""

    name: str
    user: User | None = None
    groups: frozenset[str] = frozenset()
    is_superuser: bool = False
    is_key: bool = False

    @classmethod
    def of(cls, user: Any) -> Self:
        """The account of a request. Raises NotPermitted for nobody."""
        if not isinstance(user, User):
            raise NotPermitted("Sign in first.")
        groups = frozenset(user.groups.values_list("name", flat=True))
        return cls(user.get_username(), user, groups, user.is_superuser)

    @classmethod
    def of_key(cls, prefix: str) -> Self:
        """An API key; its scopes are for the door to check."""
        return cls(f"key vc-{prefix}-…", is_key=True)


# Does what people have planned: they were asked for their rights at that time.
GATEWAY = Actor("ValueCanvas", is_superuser=True)


def may_move(actor: Actor, label: str) -> bool:
    """May they move this label, or take it away? Rights on prompts are the door's."""
    if actor.is_superuser:
        return True
    rule = ProtectedLabel.objects.filter(pk=label).first()
    if rule is None:
        return True
    if actor.is_key:
        return rule.keys_may_move
    return rule.groups.filter(name__in=actor.groups).exists()


def require_move(actor: Actor, label: str) -> None:
    """Raises NotPermitted."""
    if not may_move(actor, label):
        raise NotPermitted(
            f"The label '{label}' is protected: {actor.name} may not move it.",
            code="label_protected",
        )
