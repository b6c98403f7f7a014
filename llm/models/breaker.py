"""Overrides of circuit breakers by operators, and transitions of breakers."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from llm.models.provider import Provider
from valuecanvas.core.models import ConfigModel


class BreakerOverride(ConfigModel):
    """A breaker forced open or closed by an operator, until it expires."""

    config_kind = "breaker_override"

    class State(models.TextChoices):
        OPEN = "forced_open", "Forced open: send nothing there"
        CLOSED = "forced_closed", "Forced closed: ignore failures"

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE)
    upstream_model = models.CharField(
        max_length=200, blank=True, help_text="Empty: every model of the provider."
    )
    state = models.CharField(max_length=14, choices=State.choices)
    reason = models.CharField(max_length=200)
    expires_at = models.DateTimeField(help_text="Then the breaker is automatic again.")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.provider_id}:{self.upstream_model or '*'} {self.state}"


class BreakerEvent(models.Model):
    """One transition of one breaker, with its reason."""

    provider = models.CharField(max_length=60)
    upstream_model = models.CharField(max_length=200)
    from_state = models.CharField(max_length=14)
    to_state = models.CharField(max_length=14)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return (
            f"{self.provider}:{self.upstream_model} {self.from_state}→{self.to_state}"
        )
