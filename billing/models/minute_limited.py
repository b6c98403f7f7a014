"""The minute limits that tiers, customers and keys may have."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from billing.minute_limits import MinuteLimits
from valuecanvas.core.models import ConfigModel


class MinuteLimited(ConfigModel):
    """What an empty limit means differs: no limit, or another row's limit."""

    requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="Requests that may begin in any 60 seconds.",
    )
    tokens_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000_000)],
        help_text="Tokens, prompts and answers together, in any 60 seconds. A request "
        "that may need more than all of it is always refused.",
    )
    concurrent_requests = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="Requests that may be under way at once.",
    )

    class Meta:
        abstract = True

    @property
    def minute_limits(self) -> MinuteLimits:
        return MinuteLimits(
            self.requests_per_minute, self.tokens_per_minute, self.concurrent_requests
        )
