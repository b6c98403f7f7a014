"""Prices: what a provider charges for a model from a date on."""

from decimal import Decimal
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from valuecanvas.core.models import ConfigModel


def _usd(title: str, **options: Any) -> "models.DecimalField[Decimal, Any]":
    return models.DecimalField(
        title,
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(0)],
        **options,
    )


class Price(ConfigModel):
    """USD per million tokens of one upstream model at one provider, dated."""

    config_kind = "price"

    class Source(models.TextChoices):
        PACKAGE = "package", "genai-prices"
        OPERATOR = "operator", "Set by an operator"

    # Names, not foreign keys: billing knows nothing of the gateway's tables.
    provider = models.SlugField(max_length=60)
    upstream_model = models.CharField(max_length=200)
    input_usd = _usd("input")
    cached_input_usd = _usd(
        "cache read", null=True, blank=True, help_text="Empty: the input price."
    )
    cache_write_usd = _usd(
        "cache write", null=True, blank=True, help_text="Empty: the input price."
    )
    output_usd = _usd("output")
    effective_from = models.DateTimeField(default=timezone.now, db_index=True)
    source = models.CharField(
        max_length=10, choices=Source.choices, default=Source.OPERATOR, editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["provider", "upstream_model", "-effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "upstream_model", "effective_from"],
                name="billing_price_once_a_moment",
            ),
            models.CheckConstraint(
                condition=models.Q(input_usd__gte=0, output_usd__gte=0),
                name="billing_price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.upstream_model}"

    @property
    def cached_usd(self) -> Decimal:
        """USD per million cached input tokens."""
        found: Decimal | None = self.cached_input_usd
        return found if found is not None else self.input_usd

    @property
    def written_usd(self) -> Decimal:
        """USD per million input tokens that are written to a cache."""
        found: Decimal | None = self.cache_write_usd
        return found if found is not None else self.input_usd
