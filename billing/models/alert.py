"""Alerts: what is watched, what was found, and who is told."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from valuecanvas.core.ids import uuid7
from valuecanvas.core.webhooks.models import LONGEST_ERROR, WebhookEndpoint


class AlertChannel(models.Model):
    """A place that alerts are sent to. Its endpoint has the address and the secret."""

    name = models.CharField(max_length=60, unique=True)
    endpoint = models.OneToOneField(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="channel"
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        # Apart from `change`, which decides where alerts are sent.
        permissions = [("test_alertchannel", "Can send test messages")]

    def __str__(self) -> str:
        return self.name


class AlertKind(models.TextChoices):
    BUDGET = "budget_threshold", "Budget threshold"
    SPEND = "spend_anomaly", "Unusual spend"
    ERRORS = "error_rate", "Error rate"
    BREAKER = "breaker_opened", "Circuit breaker open"
    UNPRICED = "unpriced_model", "Model without a price"
    DRIFT = "ledger_drift", "Ledger drift"
    KEY = "provider_key", "Provider key refused"
    BACKUP = "backup_missing", "Backup missing"


class Severity(models.TextChoices):
    CRITICAL = "critical", "Critical"
    ERROR = "error", "Error"
    WARNING = "warning", "Warning"
    INFO = "info", "Info"


class AlertRule(models.Model):
    """What is watched. The parameters are those of its kind; others are ignored."""

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=20, choices=AlertKind)
    severity = models.CharField(
        max_length=8, choices=Severity, default=Severity.WARNING
    )
    channels = models.ManyToManyField(
        AlertChannel,
        blank=True,
        related_name="rules",
        help_text="None: its alerts are shown in the console only.",
    )
    enabled = models.BooleanField(default=True)
    muted_until = models.DateTimeField(null=True, blank=True)
    factor = models.FloatField(
        default=3,
        validators=[MinValueValidator(1.1), MaxValueValidator(1000)],
        help_text="How many times the mean of the same hour of the last 7 days.",
    )
    least_usd = models.DecimalField(
        "least amount (USD)",
        max_digits=14,
        decimal_places=6,
        default=10,
        validators=[MinValueValidator(0)],
        help_text="Less than this in an hour is never unusual.",
    )
    percent = models.FloatField(
        default=10,
        validators=[MinValueValidator(0.1), MaxValueValidator(100)],
        help_text="Failed requests, of all that ended.",
    )
    window_minutes = models.PositiveSmallIntegerField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(60)]
    )
    least_requests = models.PositiveIntegerField(
        default=20,
        validators=[MinValueValidator(1)],
        help_text="Fewer in the window say nothing.",
    )
    model = models.CharField(
        max_length=200, blank=True, help_text="Empty: every model together."
    )
    provider = models.CharField(
        max_length=60, blank=True, help_text="Empty: every provider together."
    )
    last_error = models.CharField(
        max_length=LONGEST_ERROR,
        blank=True,
        editable=False,
        help_text="Why it could not be checked the last time.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_muted(self) -> bool:
        return self.muted_until is not None and self.muted_until > timezone.now()


class AlertState(models.TextChoices):
    FIRING = "firing", "Firing"
    RESOLVED = "resolved", "Resolved"


class AlertEvent(models.Model):
    """One alert, from when its condition first held until it no longer does."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rule = models.ForeignKey(AlertRule, on_delete=models.PROTECT, related_name="events")
    # As they were then.
    severity = models.CharField(max_length=8, choices=Severity)
    # The condition within its rule, as in 'budget:7:2026-11-01:80'.
    dedup_key = models.CharField(max_length=200)
    # Whether it fires only once, even after it is resolved.
    once = models.BooleanField(default=False)
    state = models.CharField(
        max_length=8, choices=AlertState, default=AlertState.FIRING
    )
    summary = models.CharField(max_length=500)
    details = models.JSONField(default=dict)
    # A path of the console.
    link = models.CharField(max_length=300, blank=True)
    opened_at = models.DateTimeField(auto_now_add=True)
    # When its condition held the last time.
    held_at = models.DateTimeField("last seen", db_default=Now())
    # When it was handed to the channels, by whoever sets this first.
    notified_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "alert"
        ordering = ["-id"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "dedup_key"],
                condition=Q(state=AlertState.FIRING) | Q(once=True),
                name="billing_alert_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["rule"],
                name="billing_alert_firing",
                condition=Q(state=AlertState.FIRING),
            ),
            models.Index(fields=["state", "-id"], name="billing_alert_state"),
        ]

    def __str__(self) -> str:
        return self.summary
