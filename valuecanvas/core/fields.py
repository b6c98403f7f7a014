"""Model fields that several apps have."""

from collections.abc import Callable
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


class SealedField(models.BinaryField):
    """A column with what valuecanvas/core/crypto.py sealed for `owner(row)`.

    `manage.py rotate_field_keys` finds all such columns by this class. `owner` None:
    the value is deleted within a day, before an old key is taken away.
    """

    def __init__(
        self, *args: Any, owner: Callable[[Any], str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.seal_owner = owner

    def deconstruct(self) -> Any:
        # For the database, and so for migrations, it is bytes.
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.BinaryField", args, kwargs
