"""Experiments, and the rows of requests that they are measured by."""

import datetime as dt
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from billing.models import Customer, Usage
from llm.models import ChaosExperiment, Route
from tests.admin.rows import make_attempt, make_usage
from tests.fixtures_billing import make_customer, make_route, unique


def make_superuser(**fields: Any) -> User:
    return User.objects.create_superuser(unique("root"), password="x", **fields)


def make_experiment(route: Route | None = None, **fields: Any) -> ChaosExperiment:
    """An experiment that may start: it meets 1% of the calls of one provider."""
    route = route or make_route()
    values: dict[str, Any] = {
        "name": unique("experiment"),
        "hypothesis": "Nobody gets an error.",
        "fault": "error",
        "parameters": {"status": 503},
        "percent": Decimal(1),
        "providers": [route.provider_id],
        "most_error_percent": Decimal(5),
        "ttl_s": 60,
        **fields,
    }
    return ChaosExperiment.objects.create(**values)


def make_requests(
    count: int,
    *,
    model: str,
    ago_s: float = 5,
    failed: int = 0,
    customer: Customer | None = None,
    **fields: Any,
) -> list[Usage]:
    """So many requests, of which `failed` were answered with 502."""
    customer = customer or make_customer()
    at = timezone.now() - dt.timedelta(seconds=ago_s)
    rows = []
    for number in range(count):
        bad = {"status": "error", "error_code": "upstream_error", "provider": ""}
        values = {**fields, **(bad if number < failed else {})}
        rows.append(make_usage(customer, model=model, created_at=at, **values))
    return rows


def make_injected(request: Usage, run: str) -> None:
    """An attempt of the request that a fault made fail."""
    make_attempt(request_id=request.pk, injected_by=run)


def release_locks() -> None:
    """Give back the controller's lock, which the connection would keep for all tests."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")
