"""Prompts: names that clients request; the texts are in the versions."""

from django.core.validators import RegexValidator
from django.db import models

from valuecanvas.core.cache_policy import policy_field
from valuecanvas.core.fields import names_field, user_field
from valuecanvas.core.models import ConfigModel

KEY = RegexValidator(
    r"\A[a-z0-9](?:[a-z0-9_-]|\.(?=[a-z0-9]))*\Z",
    "Use small letters, digits, '_', '-', and single dots between words, "
    "as in 'canvas.generate'.",
)
FOLDER = RegexValidator(
    r"\A(?:[A-Za-z0-9 _-]+(?:/[A-Za-z0-9 _-]+)*)?\Z",
    "Use words separated by '/', as in 'canvas/drafts'.",
)


class PromptKind(models.TextChoices):
    TEXT = "text", "Text"
    CHAT = "chat", "Chat"


def kinds() -> list[tuple[str, str]]:
    return PromptKind.choices


class CacheScope(models.TextChoices):
    MODEL = "", "As the model says"
    CUSTOMER = "customer", "Each customer's own"
    TEAM = "team", "Shared in a team"
    GLOBAL = "global", "Shared by all"


def cache_scopes() -> list[tuple[str, str]]:
    return CacheScope.choices


class Prompt(ConfigModel):
    """A named prompt. Its key never changes: clients use it."""

    config_kind = "prompt"

    key = models.CharField(
        max_length=200,
        unique=True,
        validators=[KEY],
        help_text="What clients request, e.g. 'canvas.generate'. Never changes.",
    )
    kind = models.CharField(
        max_length=4,
        choices=kinds,
        default=PromptKind.TEXT,
        help_text="Text: one message of the user. Chat: a list of messages.",
    )
    folder = models.CharField(
        max_length=200,
        blank=True,
        validators=[FOLDER],
        help_text="Where people find it, e.g. 'canvas/drafts'.",
    )
    description = models.TextField(blank=True, help_text="What it is for.")
    owner = user_field(related_name="prompts", help_text="Whom to ask about it.")
    tags = names_field(40, "Words to find it by, separated by commas.")
    archived = models.BooleanField(
        default=False,
        help_text="Answered with an error that says so, and left out of lists.",
    )
    cache_policy = policy_field(
        "Of answers made from this prompt. “Never” of the model or the key applies here too."
    )
    cache_scope = models.CharField(
        "stored answers are",
        max_length=10,
        choices=cache_scopes,
        default=CacheScope.MODEL,
        blank=True,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["key"]
        permissions = [
            ("publish_prompt", "Can move labels and roll prompts out"),
            ("share_answers", "Can share stored answers beyond one customer"),
        ]

    def __str__(self) -> str:
        return self.key
