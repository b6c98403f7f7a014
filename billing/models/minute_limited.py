"""The minute limits that tiers, customers and keys may have."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from billing.minute_limits import MinuteLimits
from valuecanvas.core.models import ConfigModel


def _limit(most: int, help_text: str) -> "models.PositiveIntegerField[Any, Any]":
    return models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(most)],
        help_text=help_text,
    )


class MinuteLimited(ConfigModel):
    """What an empty limit means differs: no limit, or another row's limit."""

    requests_per_minute = _limit(
        1_000_000, "Requests that may begin in any 60 seconds."
    )
    tokens_per_minute = _limit(
        1_000_000_000,
        "Tokens, prompts and answers together, in any 60 seconds. A request "
        "that may need more than all of it is always refused.",
    )
    concurrent_requests = _limit(100_000, "Requests that may be under way at once.")

    class Meta:
        abstract = True

    @property
    def minute_limits(self) -> MinuteLimits:
        return MinuteLimits(
            self.requests_per_minute, self.tokens_per_minute, self.concurrent_requests
        )
