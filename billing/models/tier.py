"""Tiers: what a customer may use in a day, and in a minute."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from billing.models.minute_limited import MinuteLimited


class Tier(MinuteLimited):
    """A plan such as free, pro or enterprise."""

    config_kind = "tier"

    key = models.SlugField(
        primary_key=True, max_length=40, help_text="Short fixed name, e.g. 'pro'."
    )
    name = models.CharField(max_length=80, help_text="What people read.")
    daily_requests = models.PositiveIntegerField(
        help_text="Requests a customer may make in a UTC day."
    )
    max_output_tokens = models.PositiveIntegerField(
        default=1024,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="Output cap sent upstream when the client names none, and the most "
        "it may ask for.",
    )
    hits_take_quota = models.BooleanField(
        "stored answers count",
        default=True,
        help_text="Off: an answer from the cache takes nothing of the daily requests, "
        "and is given also when they are used up.",
    )
    upgrade_to = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        help_text="The tier offered to a caller who ran out of quota.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["daily_requests", "key"]

    def __str__(self) -> str:
        return self.name
