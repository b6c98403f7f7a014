"""Budgets: hard limits on money for everyone, a team, a customer or a key."""

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from billing.budget_scopes import BY_KIND, BudgetScope
from billing.models.api_key import ApiKey
from billing.models.customer import Customer
from billing.models.team import Team
from valuecanvas.core.models import ConfigModel


class Budget(ConfigModel):
    """A limit in USD that spent plus reserved money never passes."""

    config_kind = "budget"

    class Period(models.TextChoices):
        DAY = "day", "UTC day"
        MONTH = "month", "UTC calendar month"
        TOTAL = "total", "For ever"

    scope = models.CharField(
        max_length=10, choices=[(one.kind, one.label) for one in BudgetScope]
    )
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
                fields=[*filter(None, [one.field]), "period"],
                condition=models.Q(scope=one.kind),
                name=f"billing_budget_once_{one.kind}",
                violation_error_message="There is a budget for this scope and period.",
            )
            for one in BudgetScope
        ]

    def __str__(self) -> str:
        return f"{self.target} ${self.limit_usd.normalize():f} / {self.period}"

    @property
    def target(self) -> str:
        """Whom the budget limits, for people."""
        return str(getattr(self, self._field, None) or BudgetScope.GLOBAL.label)

    @property
    def scope_id(self) -> str:
        """The name of the scope in counters: '', a team key, a UUID or a key prefix."""
        return str(getattr(self, f"{self._field}_id", None) or "")

    @property
    def _field(self) -> str:
        """The field of the row that the budget limits; '' for everyone."""
        return BY_KIND[self.scope].field if self.scope in BY_KIND else ""

    def clean(self) -> None:
        for field in filter(None, (one.field for one in BudgetScope)):
            value = getattr(self, f"{field}_id")
            if field == self._field and not value:
                raise ValidationError({field: "Choose whom this budget limits."})
            if field != self._field and value:
                raise ValidationError(
                    {field: f"Leave this empty for the scope '{self.scope}'."}
                )
