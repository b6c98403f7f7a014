"""Prompts with versions and labels, made as operators make them."""

from typing import Any

from django.contrib.auth.models import User

from prompts import services
from prompts.models import Prompt, PromptVersion
from prompts.services import PromptActor
from tests.fixtures_billing import unique

WORDS = "Write a canvas for {{business}} in version %s."
NOBODY = PromptActor("somebody", is_superuser=True)


def make_prompt(
    key: str = "", *, versions: int = 0, live: int | None = None, **fields: Any
) -> Prompt:
    """A text prompt with that many versions, the live one published last."""
    prompt = services.create_prompt(key=key or unique("prompt"), actor=NOBODY, **fields)
    for _ in range(versions):
        make_version(prompt)
    if live:
        publish(prompt, live)
    return prompt


def make_version(prompt: Prompt, template: str = "", **fields: Any) -> PromptVersion:
    number = prompt.versions.count() + 1
    fields.setdefault("note", f"note {number}")
    fields.setdefault("actor", NOBODY)
    return services.add_version(prompt, template=template or WORDS % number, **fields)


def publish(
    prompt: Prompt, number: int, *, by: PromptActor = NOBODY, why: str = "go"
) -> None:
    now = live_number(prompt)
    services.move_label(
        prompt, "production", number, expected=now, actor=by, reason=why
    )


def live_number(prompt: Prompt) -> int | None:
    label = prompt.labels.filter(name="production").select_related("version").first()
    return label.version.number if label else None


def actor(name: str) -> PromptActor:
    return PromptActor.from_user(User.objects.get(username=name))
