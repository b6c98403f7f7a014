"""Customers: the users whose requests are counted and billed."""

from django.core.validators import RegexValidator
from django.db import models

from billing.models.minute_limited import MinuteLimited
from billing.models.team import Team
from billing.models.tier import Tier
from valuecanvas.core.ids import uuid7


class Customer(MinuteLimited):
    """A user by the caller's id. One first seen in a request gets the default tier."""

    config_kind = "customer"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user_id = models.CharField(
        max_length=200,
        validators=[RegexValidator(r"^[^\x00-\x1f\x7f]+\Z", "No control characters.")],
        help_text="The caller's own id for this user.",
    )
    team = models.ForeignKey(
        Team, null=True, blank=True, on_delete=models.PROTECT, related_name="customers"
    )
    tier = models.ForeignKey(Tier, on_delete=models.PROTECT, related_name="customers")
    suspended = models.BooleanField(
        default=False, help_text="Refuse this customer's requests at once."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        permissions = [
            ("export_customer", "Can export all data of a customer"),
            ("erase_customer", "Can erase a customer's names and contents"),
        ]
        constraints = [
            # Two, not one with nulls_distinct: that needs PostgreSQL 15.
            models.UniqueConstraint(
                fields=["team", "user_id"],
                name="billing_customer_once_a_team",
                violation_error_message="This team has a customer with that user id.",
            ),
            models.UniqueConstraint(
                fields=["user_id"],
                condition=models.Q(team=None),
                name="billing_customer_once_alone",
                violation_error_message="There is a customer with that user id.",
            ),
        ]

    def __str__(self) -> str:
        return full_name(self.user_id, self.team_id)


def full_name(user_id: str, team: str | None) -> str:
    """For people: with the team, because two teams may have a user of the same id."""
    return f"{user_id} ({team})" if team else user_id
