"""Rules and prerequisites: who gets what."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models

from flags.models.flag import Flag, FlagPart
from valuecanvas.core.targeting.bucketing import BUCKETS
from valuecanvas.core.targeting.conditions import check_conditions


class Rule(FlagPart):
    """Gives a variant to users who match all conditions; the first such rule decides."""

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="rules")
    order = models.PositiveSmallIntegerField(help_text="0, 1, 2 ... within the flag.")
    name = models.CharField(max_length=100, blank=True, help_text="A name for people.")
    conditions = models.JSONField(
        default=list,
        blank=True,
        help_text='All must hold: a list of {"attribute", "operator", "value"}.',
    )
    variant = models.CharField(
        max_length=60, blank=True, help_text="What it gives. Empty: by the weights."
    )
    share = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(BUCKETS)],
        help_text="Only to this share of them, in hundredths of a percent; for the "
        "others the next rule decides. Empty: to all.",
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        db_table = "feature_flag_rules"
        ordering = ["flag", "order"]
        constraints = [
            models.UniqueConstraint(
                fields=["flag", "order"],
                name="flag_rule_order",
                deferrable=models.Deferrable.DEFERRED,
            )
        ]

    def __str__(self) -> str:
        return self.name or f"Rule {self.order + 1}"

    def clean(self) -> None:
        """Raises ValidationError by field."""
        if fault := check_conditions(self.conditions):
            raise ValidationError({"conditions": fault})


class Prerequisite(FlagPart):
    """Another flag that must give a certain variant; otherwise this flag is off."""

    flag = models.ForeignKey(
        Flag, on_delete=models.CASCADE, related_name="prerequisites"
    )
    on = models.ForeignKey(Flag, on_delete=models.PROTECT, related_name="dependants")
    variant = models.CharField(
        max_length=60, default="on", help_text="The variant that it must give."
    )

    class Meta:
        db_table = "feature_flag_prerequisites"
        ordering = ["flag", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["flag", "on"], name="flag_prerequisite_once"
            ),
            models.CheckConstraint(
                condition=~models.Q(flag=models.F("on")), name="flag_not_on_itself"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.on} is {self.variant}"
