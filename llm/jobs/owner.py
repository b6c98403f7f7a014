"""Whose jobs, batches and files: the one place that decides what a caller sees."""

import uuid
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from billing.auth.principal import Principal
from billing.models import Customer

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Owner:
    """The customer who is billed, and the key that submitted."""

    customer_id: uuid.UUID
    user_id: str
    team: str
    key: str = ""

    def columns(self) -> dict[str, Any]:
        """Its columns in the rows that it owns."""
        return asdict(self)


def owner_of(principal: Principal) -> Owner:
    return Owner(
        principal.customer_id, principal.user_id, principal.team, principal.key
    )


def owner_of_customer(customer: Customer) -> Owner:
    """The owner of what is submitted from Python, without a key."""
    return Owner(customer.pk, customer.user_id, customer.team_id or "")


def owned_by(rows: QuerySet[M], customer_id: uuid.UUID) -> QuerySet[M]:
    """Those of `rows` that this customer may see."""
    return rows.filter(customer_id=customer_id)
