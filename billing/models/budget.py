"""Budgets: limits on money for everyone, a team, a customer, a key, a model or a tag."""

from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from billing.budget_periods import LABELS, RECURRENT, Period
from billing.budget_scopes import BY_KIND, LONGEST_TAG, BudgetScope
from billing.models.api_key import ApiKey
from billing.models.customer import Customer
from billing.models.team import Team
from valuecanvas.core.models import ConfigModel


def default_thresholds() -> list[int]:
    return [50, 80, 100]


def _usd_field(label: str, **options: Any) -> Any:
    return models.DecimalField(
        label,
        max_digits=14,
        decimal_places=6,
        validators=[MinValueValidator(0)],
        **options,
    )


class Budget(ConfigModel):
    """A limit in USD for a period. A hard one is never passed by spent and reserved money;
    a soft one only tells when its thresholds are reached.
    """

    config_kind = "budget"

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
    model = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="The name that clients send.",
    )
    tag = models.CharField(
        max_length=LONGEST_TAG,
        blank=True,
        default="",
        db_default="",
        help_text="A tag of an API key, or one that its requests name.",
    )
    period = models.CharField(
        max_length=10, choices=[(one.value, LABELS[one]) for one in Period]
    )
    starts_on = models.DateField("first day", null=True, blank=True)
    ends_on = models.DateField("last day", null=True, blank=True)
    limit_usd = _usd_field("limit (USD)")
    hard = models.BooleanField(
        default=True,
        db_default=True,
        help_text="On: a request that might pass the limit is refused. Off: only alerts.",
    )
    thresholds = ArrayField(
        models.PositiveSmallIntegerField(
            validators=[MinValueValidator(1), MaxValueValidator(1000)]
        ),
        default=default_thresholds,
        db_default=[50, 80, 100],
        blank=True,
        size=10,
        help_text="Percents of the limit, separated by commas. Each is told once a "
        "period, see Alerts.",
    )
    increase_usd = _usd_field(
        "temporary increase (USD)",
        default=Decimal(0),
        db_default=Decimal(0),
        blank=True,
        help_text="Added to the limit until the time below.",
    )
    increase_until = models.DateTimeField("increase ends at", null=True, blank=True)
    rollover = models.BooleanField(
        default=False,
        db_default=False,
        help_text="What was not spent in the period before is added, for one period.",
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
                condition=models.Q(scope=one.kind)
                & ~models.Q(period=Period.DATES.value),
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
        """The name of the scope in counters: '', a team key, a UUID, a key prefix, a
        model or a tag.
        """
        return str(self._value(self._field) or "") if self._field else ""

    @property
    def _field(self) -> str:
        """The field of the row that the budget limits; '' for everyone."""
        return BY_KIND[self.scope].field if self.scope in BY_KIND else ""

    def _value(self, field: str) -> object:
        """The key of the row in `field`, or its text."""
        column: Any = self._meta.get_field(field)
        return getattr(self, column.attname)

    def clean(self) -> None:
        for field in filter(None, (one.field for one in BudgetScope)):
            value = self._value(field)
            if field == self._field and not value:
                raise ValidationError({field: "Choose whom this budget limits."})
            if field != self._field and value:
                raise ValidationError(
                    {field: f"Leave this empty for the scope '{self.scope}'."}
                )
        self._clean_period()
        if self.increase_usd and not self.increase_until:
            raise ValidationError({"increase_until": "Say when the increase ends."})
        self.thresholds = sorted(set(self.thresholds or ()))

    def _clean_period(self) -> None:
        dates = {"starts_on": self.starts_on, "ends_on": self.ends_on}
        for name, value in dates.items():
            if self.period == Period.DATES and not value:
                raise ValidationError(
                    {name: "Fixed dates need a first and a last day."}
                )
            if self.period != Period.DATES and value:
                raise ValidationError({name: "Only for the period 'Fixed dates'."})
        if self.starts_on and self.ends_on and self.ends_on < self.starts_on:
            raise ValidationError({"ends_on": "The last day is before the first."})
        if self.rollover and self.period not in RECURRENT:
            raise ValidationError(
                {"rollover": "Only a day, week, month or quarter has one before it."}
            )
