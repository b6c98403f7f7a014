"""Variants: the values that a flag may have."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models

from flags.documents.validation import check_effect, check_value
from flags.models.flag import Flag, FlagPart
from valuecanvas.core.targeting.bucketing import BUCKETS

NAME = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z",
    "Use letters, digits, '_', '-' and '.', as in 'blue'.",
)


class Variant(FlagPart):
    """One value of a flag, with its share of the included users.

    A boolean flag has 'on' and 'off' without rows.
    """

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="variants")
    name = models.CharField(max_length=60, validators=[NAME])
    # Null is no value of any kind.
    value = models.JSONField(help_text="JSON of the flag's kind.")
    weight = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(BUCKETS)],
        help_text="Share of the included users, in hundredths of a percent.",
    )
    effect = models.JSONField(
        default=dict,
        blank=True,
        help_text='Its effect in the gateway: {"prompt_label", "model", "parameters"}.',
    )
    description = models.TextField(blank=True)

    class Meta:
        db_table = "feature_flag_variants"
        ordering = ["flag", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["flag", "name"], name="flag_variant_name")
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raises ValidationError by field."""
        faults = {
            "value": check_value(self.flag.kind, self.value),
            "effect": check_effect(self.effect),
        }
        if found := {field: text for field, text in faults.items() if text}:
            raise ValidationError(found)
