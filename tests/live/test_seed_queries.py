"""The SQL of the product's first document, unchanged, on rows of the gateway."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from billing.models import Usage
from tests.live.world import World
from tests.tampering import tampering

pytestmark = pytest.mark.live

COST_BY_USER = """
SELECT user_id, SUM(cost_usd) as hourly_cost
FROM llm_usage
WHERE created_at >= NOW() - INTERVAL '1 hour'
GROUP BY user_id
ORDER BY hourly_cost DESC;
"""
HIT_RATE = """
SELECT
  (COUNT(*) FILTER (WHERE cached = true)::float / COUNT(*)) * 100 as hit_rate
FROM llm_usage
WHERE created_at >= NOW() - INTERVAL '1 hour';
"""
EXPENSIVE_MODELS = """
SELECT model, COUNT(*) as requests, SUM(cost_usd) as total_cost
FROM llm_usage
WHERE created_at >= NOW() - INTERVAL '24 hours'
GROUP BY model
ORDER BY total_cost DESC;
"""


def ask(query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def make_old() -> None:
    """Ages one row beyond the hour and another beyond the day."""
    rows = list(Usage.objects.order_by("created_at").values_list("pk", flat=True)[:2])
    with tampering(), connection.cursor() as cursor:
        for row, age in zip(rows, ("90 minutes", "2 days"), strict=True):
            cursor.execute(
                "UPDATE llm_usage SET created_at = created_at - %s::interval"
                " WHERE id = %s",
                [age, row],
            )


def make_cached(request_id: str) -> None:
    with tampering():
        Usage.objects.filter(pk=request_id).update(cached=True)


def test_seed_queries__rows_of_the_gateway__give_right_answers(world: World) -> None:
    dear, cheap = world.serve("ok", prices=("9",)), world.serve("ok", prices=("1",))
    other, key = world.new_customer(daily_requests=10)
    old, older = world.chat(dear.model), world.chat(dear.model)
    asked = [world.chat(dear.model), world.chat(cheap.model)]
    asked += [world.chat(cheap.model, key=key) for _ in range(2)]
    costs = [Decimal(a.headers["x-valuecanvas-cost-usd"]) for a in asked]
    assert all(cost > 0 for cost in costs)
    world.db(make_old)
    world.db(make_cached, asked[-1].headers["x-request-id"])

    assert world.db(ask, COST_BY_USER) == [
        (world.customer.user_id, costs[0] + costs[1]),
        (other.user_id, costs[2] + costs[3]),
    ]
    assert world.db(ask, HIT_RATE) == [(25.0,)]
    day_old = Decimal(old.headers["x-valuecanvas-cost-usd"])
    assert older.status == 200
    assert world.db(ask, EXPENSIVE_MODELS) == [
        (dear.model, 2, costs[0] + day_old),
        (cheap.model, 3, sum(costs[1:], Decimal(0))),
    ]
