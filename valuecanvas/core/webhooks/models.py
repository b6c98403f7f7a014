"""Who gets webhooks, and the webhooks themselves: the table is the outbox."""

from contextlib import suppress
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from valuecanvas.core import crypto
from valuecanvas.core.fields import SealedField
from valuecanvas.core.ids import uuid7

# With its owner it fits into an index entry of PostgreSQL.
LONGEST_URL = 2000
LONGEST_ERROR = 300


class EndpointKind(models.TextChoices):
    """What a receiver expects."""

    STANDARD = "standard", "Signed webhook"
    SLACK = "slack", "Slack"
    PAGERDUTY = "pagerduty", "PagerDuty"
    EMAIL = "email", "E-mail"


class WebhookEndpoint(models.Model):
    """A URL of one owner, with the secret that signs what is sent there.

    Slack's secret is the whole URL, PagerDuty's the routing key; `url` then only says
    where it goes. That of e-mail is the addresses.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.CharField(
        max_length=100, help_text="Whose it is, as in 'customer:<id>'."
    )
    url = models.CharField("URL", max_length=LONGEST_URL)
    kind = models.CharField(
        max_length=10,
        choices=EndpointKind,
        default=EndpointKind.STANDARD,
        db_default=EndpointKind.STANDARD,
    )
    secret_sealed = SealedField(owner=lambda row: row._seal_owner())
    # Signs too until then, so that a receiver has time to take the new one.
    previous_sealed = SealedField(owner=lambda row: row._seal_owner(), null=True)
    previous_until = models.DateTimeField("old secret valid until", null=True)
    # Attempts.
    delivered = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    # Since then every attempt has failed.
    failing_since = models.DateTimeField(null=True)
    last_failed_at = models.DateTimeField("last failure at", null=True)
    last_error = models.CharField("last failure", max_length=LONGEST_ERROR, blank=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.CharField(
        "disabled because", max_length=LONGEST_ERROR, blank=True
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "core_webhook_endpoint"
        verbose_name = "webhook endpoint"
        ordering = ["-id"]
        default_permissions = ("view", "change")
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "url"], name="core_webhook_endpoint_once"
            )
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def state(self) -> str:
        if self.disabled_at:
            return "disabled"
        return "failing" if self.failing_since else "enabled"

    def set_secret(self, secret: str) -> None:
        """Seal the secret; nothing is saved."""
        self.secret_sealed = crypto.seal(secret, self._seal_owner())

    def open_secret(self) -> str:
        """The secret. Raises crypto.UnreadableSecret."""
        return crypto.unseal(bytes(self.secret_sealed), self._seal_owner())

    def open_secrets(self, at: datetime) -> list[str]:
        """The secrets that sign at that time. Raises crypto.UnreadableSecret."""
        secrets = [self.open_secret()]
        if self.previous_sealed and self.previous_until and at < self.previous_until:
            # One that FIELD_KEY no longer opens was the reason for its rotation.
            with suppress(crypto.UnreadableSecret):
                old = bytes(self.previous_sealed)
                secrets.append(crypto.unseal(old, self._seal_owner()))
        return secrets

    def _seal_owner(self) -> str:
        return f"webhook:{self.pk}"


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class WebhookDelivery(models.Model):
    """One webhook. Its id is the header `webhook-id`, the same on every attempt."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries"
    )
    type = models.CharField(max_length=60)
    # What it tells of, as in 'alert:<id>': to one endpoint these are sent in their order.
    about = models.CharField(max_length=60, blank=True, db_default="")
    # The JSON that is sent, byte for byte; to PagerDuty with the routing key added.
    body = models.TextField()
    state = models.CharField(
        max_length=10, choices=DeliveryState, default=DeliveryState.WAITING
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    # When it is due. While a sender has it: when that sender's lease ends.
    next_at = models.DateTimeField("next attempt", db_default=Now())
    last_status = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=LONGEST_ERROR, blank=True)
    # Of each attempt: when it ended, its status, error and duration in ms.
    history = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "core_webhook_delivery"
        verbose_name = "webhook"
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("resend_webhookdelivery", "Can send webhooks again")]
        indexes = [
            models.Index(
                fields=["next_at"],
                name="core_webhook_due",
                condition=Q(state=DeliveryState.WAITING),
            ),
            models.Index(fields=["state", "-id"], name="core_webhook_state"),
            models.Index(fields=["created_at"], name="core_webhook_created"),
            models.Index(
                fields=["about"], name="core_webhook_about", condition=~Q(about="")
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def owner(self) -> str:
        return self.endpoint.owner
