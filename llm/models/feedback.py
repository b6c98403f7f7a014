"""Callers' ratings of answers."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

WORST, BEST = -1.0, 1.0
LONGEST_COMMENT = 2000


class Feedback(models.Model):
    """The rating of one request; a new one replaces it.

    It has names from the ledger's row, so that it can be summed up without a join.
    """

    request_id = models.UUIDField(primary_key=True)
    customer_id = models.UUIDField()
    user_id = models.CharField("user", max_length=200)
    score = models.FloatField(
        validators=[MinValueValidator(WORST), MaxValueValidator(BEST)],
        help_text="From -1, bad, over 0 to 1, good.",
    )
    comment = models.CharField(max_length=LONGEST_COMMENT, blank=True)
    model = models.CharField(max_length=200, blank=True)
    prompt_key = models.CharField(max_length=200, blank=True)
    prompt_version = models.IntegerField(null=True)
    variant = models.CharField(max_length=100, blank=True)
    subject = models.BigIntegerField(null=True)
    requested_at = models.DateTimeField(help_text="When the request was settled.")
    created_at = models.DateTimeField(help_text="When it was first said.")
    updated_at = models.DateTimeField(help_text="When it was last said.")

    class Meta:
        db_table = "llm_feedback"
        verbose_name = "feedback"
        verbose_name_plural = "feedback"
        indexes = [
            # By when the request was: a version's feedback belongs to its requests.
            models.Index(
                fields=["prompt_key", "requested_at"],
                name="llm_feedback_prompt",
                condition=~models.Q(prompt_key=""),
            ),
            models.Index(fields=["-created_at"], name="llm_feedback_time"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(score__gte=WORST, score__lte=BEST),
                name="llm_feedback_score",
            )
        ]

    def __str__(self) -> str:
        return f"{self.score:g} for {self.request_id}"
