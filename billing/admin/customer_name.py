"""Names and links of customers: two teams may have a user of the same id."""

from collections.abc import Iterable
from typing import Any

from billing.models import Customer
from billing.models.customer import full_name
from valuecanvas.core.admin.columns import link


def names_of(ids: Iterable[Any]) -> dict[str, str]:
    """The names of existing customers by their ids."""
    rows = Customer.objects.filter(pk__in=list(ids))
    found = rows.values_list("pk", "user_id", "team_id")
    return {str(pk): full_name(user_id, team) for pk, user_id, team in found}


def customer_link(customer_id: Any, name: str) -> str:
    return link("billing_customer", customer_id, name)
