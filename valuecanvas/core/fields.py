"""Model fields that several apps have."""

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models


def user_field(*, related_name: str = "+", **options: Any) -> Any:
    """The field for an account; the row stays when the account is deleted."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name=related_name,
        **options,
    )


def names_field(longest: int, help_text: str = "", **options: Any) -> Any:
    """The field for a list of names of at most `longest` characters."""
    name: Any = models.CharField(max_length=longest)
    return ArrayField(name, default=list, blank=True, help_text=help_text, **options)
