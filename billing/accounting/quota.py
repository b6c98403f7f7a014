"""Whom a change of a quota refuses at once."""

from django.db.models import CharField, Exists, OuterRef
from django.db.models.functions import Cast
from django.utils import timezone

from billing.budget_scopes import BudgetScope
from billing.models import Counter, Customer


def count_newly_refused(tier: str, limit: int, before: int) -> int:
    """The customers of `tier` whose use today (UTC) is at least `limit`, below `before`.

    Suspended ones are not counted: they are refused anyhow.
    """
    customers = Customer.objects.alias(name=Cast("pk", CharField())).filter(
        tier=tier, suspended=False, name=OuterRef("scope_id")
    )
    return Counter.objects.filter(
        Exists(customers),
        scope=BudgetScope.CUSTOMER.letter,
        day=timezone.now().date(),
        used__gte=limit,
        used__lt=before,
    ).count()
