"""The actor of a change of a prompt, and the labels that it may move."""

from dataclasses import dataclass
from typing import Any, Self

from django.contrib.auth.models import User

from prompts.models import ProtectedLabel
from prompts.models.prompt import CacheScope
from valuecanvas.core.errors import NotPermitted


@dataclass(frozen=True, slots=True)
class PromptActor:
    """A person, an API key or the gateway itself, as the audit will name it."""

    name: str
    user: User | None = None
    groups: frozenset[str] = frozenset()
    is_superuser: bool = False
    is_key: bool = False
    # A key whose issuer is not a superuser.
    limited: bool = False

    @classmethod
    def from_user(cls, user: Any) -> Self:
        """The account of a request. Raises NotPermitted without one."""
        if not isinstance(user, User):
            raise NotPermitted("Sign in first.")
        groups = frozenset(user.groups.values_list("name", flat=True))
        return cls(user.get_username(), user, groups, user.is_superuser)

    @classmethod
    def from_key(cls, prefix: str, issuer: str = "") -> Self:
        """An API key; the endpoint checks its scopes.

        It has the groups of its `issuer`, if that account is still active staff.
        """
        name = f"key vc-{prefix}-…"
        if not issuer:
            return cls(name, is_key=True)
        people = User.objects.filter(username=issuer, is_active=True, is_staff=True)
        groups = people.values_list("groups__name", flat=True)
        return cls(
            name,
            groups=frozenset(filter(None, groups)),
            is_key=True,
            limited=not people.filter(is_superuser=True).exists(),
        )


SHARE = "prompts.share_answers"
# Applies scheduled steps: the rights were checked when they were scheduled.
GATEWAY = PromptActor("ValueCanvas", is_superuser=True)


def may_move(actor: PromptActor, label: str) -> bool:
    """Whether the actor may move or remove this label; callers check rights on prompts."""
    if actor.is_superuser:
        return True
    rule = ProtectedLabel.objects.filter(pk=label).first()
    if rule is None:
        return True
    if actor.is_key and not (rule.keys_may_move and actor.limited):
        return rule.keys_may_move
    return rule.groups.filter(name__in=actor.groups).exists()


def require_share(actor: PromptActor, before: str, after: str) -> None:
    """Check the right for a wider scope of stored answers. Raises NotPermitted."""
    widths = list(CacheScope.values)
    if actor.is_superuser or widths.index(after) <= max(1, widths.index(before)):
        return
    if actor.user is None or not actor.user.has_perm(SHARE):
        raise NotPermitted(
            f"More callers would share stored answers: that needs the right '{SHARE}'.",
            param="cache_scope",
        )


def require_move(actor: PromptActor, label: str) -> None:
    """Check the right to move a label. Raises NotPermitted."""
    if not may_move(actor, label):
        raise NotPermitted(
            f"The label '{label}' is protected: {actor.name} may not move it.",
            code="label_protected",
        )
