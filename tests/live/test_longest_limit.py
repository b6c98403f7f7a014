"""A minute's limit is not told to a caller whom the day's quota or a budget refuses."""

import pytest

from tests.live.world import Answer, World

pytestmark = pytest.mark.live


def second_of_a_minute(world: World, key: str) -> Answer:
    model = world.serve("ok").model
    assert world.chat(model, key=key).status == 200
    return world.chat(model, key=key)


def test_minute_and_day__both_used_up__the_day_is_told_with_its_upgrade(
    world: World,
) -> None:
    _, key = world.new_customer(daily_requests=1, requests_per_minute=1)
    answer = second_of_a_minute(world, key)
    assert (answer.status, answer.error["code"]) == (429, "insufficient_quota")
    assert "upgrade" in answer.error
    assert answer.headers["x-should-retry"] == "false"
    # And again, from memory.
    model = world.serve("ok").model
    assert world.chat(model, key=key).error["code"] == "insufficient_quota"


def test_minute__alone_used_up__is_told(world: World) -> None:
    _, key = world.new_customer(daily_requests=2, requests_per_minute=1)
    answer = second_of_a_minute(world, key)
    assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
    assert int(answer.headers["retry-after"]) <= 120


@pytest.mark.parametrize("period", ["day", "month", "total"])
def test_minute_and_budget__both_used_up__the_budget_is_told(
    world: World, period: str
) -> None:
    customer, key = world.new_customer(daily_requests=50, requests_per_minute=1)
    model = world.serve("ok").model
    assert world.chat(model, key=key).status == 200
    world.budget(limit="0.000001", period=period, target=customer)
    # Another's request has the process load the budget.
    assert world.chat(model).status == 200
    answer = world.chat(model, key=key)
    assert (answer.status, answer.error["code"]) == (429, "budget_exceeded")
    assert period in answer.error["message"]
