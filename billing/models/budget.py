"""Budgets: hard limits on money for everyone, a team, a customer or a key."""

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from billing.models.api_key import ApiKey
from billing.models.customer import Customer
from billing.models.team import Team
from valuecanvas.core.models import ConfigModel


class Budget(ConfigModel):
    """A limit in USD that spent plus reserved money never passes."""

    config_kind = "budget"

    class ScopeKind(models.TextChoices):
        GLOBAL = "global", "Everyone"
        TEAM = "team", "A team"
        CUSTOMER = "customer", "A customer"
        KEY = "key", "An API key"

    class Period(models.TextChoices):
        DAY = "day", "UTC day"
        MONTH = "month", "UTC calendar month"
        TOTAL = "total", "For ever"

    scope = models.CharField(max_length=10, choices=ScopeKind.choices)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE)
    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.CASCADE
    )
    api_key = models.ForeignKey(
        ApiKey, null=True, blank=True, on_delete=models.CASCADE, verbose_name="API key"
    )
    period = models.CharField(max_length=6, choices=Period.choices)
    limit_usd = models.DecimalField(
        "limit (USD)",
        max_digits=14,
        decimal_places=6,
        validators=[MinValueValidator(0)],
    )
    enabled = models.BooleanField(default=True)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["scope", "period"]
        constraints = [
            # One for each scope, not one with nulls_distinct: that needs PostgreSQL 15.
            models.UniqueConstraint(
                fields=[*owner, "period"],
                condition=models.Q(scope=scope),
                name=f"billing_budget_once_{scope}",
                violation_error_message="There is a budget for this scope and period.",
            )
            for scope, owner in {
                "global": (),
                "team": ("team",),
                "customer": ("customer",),
                "key": ("api_key",),
            }.items()
        ]

    def __str__(self) -> str:
        return f"{self.target} ${self.limit_usd.normalize():f} / {self.period}"

    @property
    def target(self) -> str:
        """Whom the budget limits, for people."""
        owner = {"team": self.team, "customer": self.customer, "key": self.api_key}
        return str(owner.get(self.scope) or "Everyone")

    @property
    def scope_id(self) -> str:
        """The name of the scope in counters: '', a team key, a UUID or a key prefix."""
        ids = {
            "team": self.team_id,
            "customer": self.customer_id,
            "key": self.api_key_id,
        }
        return str(ids.get(self.scope) or "")

    def clean(self) -> None:
        wanted = {"team": "team", "customer": "customer", "key": "api_key"}
        for scope, field in wanted.items():
            value = getattr(self, f"{field}_id")
            if scope == self.scope and not value:
                raise ValidationError({field: "Choose whom this budget limits."})
            if scope != self.scope and value:
                raise ValidationError(
                    {field: f"Leave this empty for the scope '{self.scope}'."}
                )
