"""Providers: endpoints that speak the OpenAI wire format."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models

from llm.providers import address_guard
from llm.providers.key_reference import check_reference
from llm.providers.registry import KINDS
from llm.request import routing_fields
from valuecanvas.core import crypto
from valuecanvas.core.fields import SealedField
from valuecanvas.core.models import ConfigModel


def kind_choices() -> list[tuple[str, str]]:
    return [(name, kind.title) for name, kind in KINDS.items()]


def check_variable(name: str) -> None:
    """Raises ValidationError for a variable that holds no provider's key."""
    if name and name not in settings.PROVIDER_KEYS:
        known = ", ".join(settings.PROVIDER_KEYS)
        raise ValidationError(f"Known variables: {known}.")


def check_further_field(name: str) -> None:
    """Raises ValidationError for a field that no client may send."""
    try:
        routing_fields.check_further(name)
    except ValueError as error:
        raise ValidationError(str(error)) from error


class Provider(ConfigModel):
    """One endpoint. Its key comes from the environment or an encrypted field."""

    config_kind = "provider"

    key = models.SlugField(
        primary_key=True, max_length=60, help_text="Short fixed name, e.g. 'together'."
    )
    name = models.CharField(max_length=120)
    kind = models.CharField(
        max_length=30,
        choices=kind_choices,
        help_text="How its errors are read.",
    )
    base_url = models.CharField(
        "base URL",
        max_length=300,
        validators=[URLValidator(schemes=["http", "https"]), address_guard.check_url],
        help_text="Up to and with /v1. Another scheme, host or port clears the key.",
    )
    api_key_env = models.CharField(
        "key from environment",
        max_length=60,
        blank=True,
        validators=[check_variable],
        help_text="Name of the variable with the key, e.g. TOGETHER_API_KEY.",
    )
    api_key_sealed = SealedField(
        owner=lambda row: row._bound_to(), null=True, editable=False
    )
    api_key_ref = models.CharField(
        "key by reference",
        max_length=600,
        blank=True,
        validators=[check_reference],
        db_default="",
        default="",
        help_text="As in aws-sm://valuecanvas/providers/openai#api_key: the key is read "
        "from AWS Secrets Manager, and again every five minutes and when it is refused.",
    )
    extra_fields = ArrayField(
        models.CharField(
            max_length=routing_fields.MOST_LETTERS, validators=[check_further_field]
        ),
        verbose_name="further fields",
        default=list,
        db_default=[],
        blank=True,
        help_text="Fields that choose providers or models behind it, such as 'provider' "
        "or 'models', and that clients may send, with commas. They are refused where "
        "this is empty. What they can choose must not cost more than the prices here.",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["key"]
        # Apart from `change`: it decides to which host a key is sent.
        permissions = [("set_provider_endpoint", "Can set base URLs and keys")]

    def __str__(self) -> str:
        return self.name

    @property
    def has_key(self) -> bool:
        return bool(self.api_key_sealed)

    def set_key(self, key: str) -> None:
        """Seal the provider's key; it can be used but never shown again."""
        self.api_key_sealed = crypto.seal(key, self._bound_to()) if key else None

    def drop_foreign_key(self, url: str) -> bool:
        """Drop the sealed key if `url`, before or after a change, has another origin.

        Whether it was dropped. Nothing is saved.
        """
        moved = address_guard.origin(url) != address_guard.origin(self.base_url)
        dropped = self.has_key and moved
        if dropped:
            self.set_key("")
        return dropped

    def open_key(self) -> str:
        """The key: the sealed one, else the environment's, else ''.

        Raises crypto.Unreadable where the sealed key belongs to another origin.
        """
        if self.api_key_sealed:
            return crypto.unseal(bytes(self.api_key_sealed), self._bound_to())
        return str(settings.PROVIDER_KEYS.get(self.api_key_env, ""))

    def _bound_to(self) -> str:
        return f"provider:{self.key}:{address_guard.origin(self.base_url)}"
