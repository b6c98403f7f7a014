"""Prompts in the database, made by the services as people would make them."""

import secrets
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import Group, User

from prompts import services
from prompts.models import Prompt, PromptEvent
from prompts.services import PromptActor

ANN, BOB = PromptActor("ann"), PromptActor("bob")


def make_user(name: str = "", *groups: str, **fields: Any) -> User:
    user = User.objects.create_user(name or f"user-{secrets.token_hex(4)}", **fields)
    user.groups.set(Group.objects.get_or_create(name=one)[0] for one in groups)
    return user


def make_prompt(
    *texts: str, key: str = "", production: int | None = None, **fields: Any
) -> Prompt:
    """A text prompt with a version for each text, and one of them in production."""
    key = key or f"p-{secrets.token_hex(4)}"
    # May share stored answers too.
    chief = replace(ANN, is_superuser=True)
    prompt = services.create_prompt(key=key, actor=chief, **fields)
    for text in texts:
        services.add_version(prompt, template=text, actor=ANN)
    if production is not None:
        move(prompt, production, expected=None)
    return prompt


def move(prompt: Prompt, to: int, name: str = "production", **asked: Any) -> None:
    asked.setdefault("expected", pointed_at(prompt, name))
    services.move_label(prompt, name, to, actor=asked.pop("actor", ANN), **asked)


def pointed_at(prompt: Prompt, name: str = "production") -> int | None:
    """The number of the version that the label points at, if it exists."""
    rows = prompt.labels.filter(name=name)
    return rows.values_list("version__number", flat=True).first()


def events(prompt: Prompt) -> list[PromptEvent]:
    """The audit, the oldest first."""
    return list(prompt.events.order_by("id"))


def told(prompt: Prompt) -> list[tuple]:
    """(action, from, to) of each event, the oldest first."""
    return [(one.action, one.from_version, one.to_version) for one in events(prompt)]
