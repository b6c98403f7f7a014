"""An immutable version of a prompt."""

from typing import Any

from django.db import models
from django.utils import timezone

from prompts.models.prompt import Prompt
from valuecanvas.core.fields import names_field, user_field
from valuecanvas.core.models import ConfigModel


class Immutable(Exception):
    """Raised on a change of a saved version: versions are immutable."""


class PromptVersion(ConfigModel):
    """The text and settings of a prompt at one time. Rows are added, never changed.

    The database refuses changes as well (a trigger): see migration 0002.
    """

    config_kind = "prompt"
    config_key = "prompt_id"

    prompt = models.ForeignKey(
        Prompt, on_delete=models.CASCADE, related_name="versions"
    )
    number = models.PositiveIntegerField(help_text="1, 2, 3 ... within the prompt.")
    template = models.TextField(blank=True, help_text="The text of a text prompt.")
    messages = models.JSONField(
        default=list,
        blank=True,
        help_text='Of a chat prompt: a list of {"role", "content"}.',
    )
    variables = models.JSONField(
        default=list,
        blank=True,
        help_text='A list of {"name", "description", "default", "schema"}; '
        "one without a default must be given.",
    )
    model = models.CharField(
        max_length=200, blank=True, help_text="Empty: the client names the model."
    )
    parameters = models.JSONField(
        default=dict, blank=True, help_text="Sent upstream, e.g. temperature."
    )
    author = user_field()
    author_name = models.CharField(
        max_length=200, help_text="Who wrote it; kept after the account is deleted."
    )
    note = models.TextField(blank=True, help_text="What changed, and why.")
    tags = names_field(40)
    digest = models.CharField(
        max_length=64, help_text="SHA-256 of all that is sent: equal means the same."
    )
    # Not auto_now_add: an import keeps the time that a version was written at.
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "prompt_versions"
        ordering = ["prompt", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["prompt", "number"], name="prompt_version_number"
            )
        ]

    def __str__(self) -> str:
        return f"{self.prompt.key} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises Immutable for a row that exists."""
        if not self._state.adding:
            raise Immutable("A version never changes; make a new one.")
        super().save(*args, **kwargs)
