"""A run with a limited audience: nobody else sees a difference."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.faults.counts import either
from tests.live.chaos.conftest import Chaos, only
from tests.live.world import Answer, World

pytestmark = pytest.mark.live

OTHERS = either(200, 10_000)
THREADS = 8


def shared(world: World, key: str | None, model: str, **more: Any) -> Answer:
    """A chat that may be shared with others of the same words."""
    return world.chat(model, text="Say hello to everybody.", key=key, **more)


def test_breaker__of_a_limited_audience__is_its_own(world: World, chaos: Chaos) -> None:
    served = world.serve("ok", "ok")
    _, other = world.new_customer(daily_requests=1000)
    run = chaos.begin(
        "error",
        parameters={"status": 500},
        providers=served.providers[:1],
        conditions=only(world.customer.user_id),
    )
    for _ in range(5):
        answer = world.chat(served.model)
        assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    # Its own breaker is open: the sixth is not even tried.
    again = world.chat(served.model)
    assert world.usage(again.headers["x-request-id"]).attempts == 1
    assert again.headers["x-valuecanvas-provider"] == served.providers[1]
    # Everybody else's has seen nothing.
    breaker = world.breaker(served.providers[0])
    assert (breaker["breaker"], breaker["failures"]) == ("closed", 0)
    answer = world.chat(served.model, key=other)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[0]
    [event] = world.breaker_events(served.providers[0])
    assert f"injected by {run.name}" in event.reason
    assert "only for calls that" in event.reason
    gauge = f'valuecanvas_breaker_state{{provider="{served.providers[0]}"'
    assert not any(
        line.startswith(gauge) and line.endswith(" 2.0")
        for line in world.metrics().splitlines()
    )
    chaos.end(run)
    answer = world.chat(served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[0]


@pytest.mark.parametrize(("state", "first"), [("forced_open", 1), ("forced_closed", 0)])
def test_breaker__forced_by_an_operator__holds_for_the_audience_too(
    world: World, chaos: Chaos, state: str, first: int
) -> None:
    served = world.serve("ok", "ok")
    conditions = only(world.customer.user_id)
    chaos.begin("error", providers=served.providers[:1], conditions=conditions)
    world.force(served.providers[0], state)
    for _ in range(7):
        answer = world.chat(served.model)
        assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
        attempts = world.usage(answer.headers["x-request-id"]).attempts
        # Forced closed, it is asked each time, and never opens.
        assert attempts == 2 - first


def test_audience__by_model__shares_no_breaker_with_other_models(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok", "ok")
    run = chaos.begin(
        "error", model_names=[served.model], providers=served.providers[:1]
    )
    for _ in range(5):
        world.chat(served.model)
    assert chaos.injected(run, 5) == 5
    assert world.breaker(served.providers[0])["failures"] == 0


def test_others__while_one_customer_has_every_fault__see_no_difference(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok-1")
    tiers = [world.new_customer(daily_requests=OTHERS + 1) for _ in range(2)]
    keys = [key for _, key in tiers]
    run = chaos.begin(
        "error", providers=served.providers, conditions=only(world.customer.user_id)
    )

    def ask(number: int) -> tuple[int, bool]:
        if number % 10 == 0:
            world.chat(served.model)
        answer = world.chat(served.model, key=keys[number % 2], stream=number % 4 == 0)
        return answer.status, b"chaos" in answer.body

    with ThreadPoolExecutor(THREADS) as threads:
        seen = Counter(threads.map(ask, range(OTHERS)))
    assert seen == {(200, False): OTHERS}
    for customer, _ in tiers:
        rows = world.usage_rows(customer)
        assert len(rows) == OTHERS // 2
        assert {(row.status, row.attempts) for row in rows} == {("ok", 1)}
        assert world.counter(customer)[0] == OTHERS // 2
    mine = world.usage_rows()
    assert {row.status for row in mine} == {"error"}
    assert world.counter() == (0, 0, 0)
    assert chaos.injected(run, 1) > 0
    breaker = world.breaker(served.providers[0])
    assert (breaker["breaker"], breaker["failures"]) == ("closed", 0)


@pytest.mark.parametrize("fault", ["timeout", "cut"])
@pytest.mark.parametrize("stream", [False, True])
def test_followers__outside_of_the_audience__get_a_real_answer(
    world: World, chaos: Chaos, fault: str, stream: bool
) -> None:
    # One customer, so that calls are shared; only one of its keys is met.
    served = world.serve("slow@1s")
    key = world.new_key()
    prefix = key.split("-")[1]
    condition = ({"attribute": "key", "operator": "equals", "value": prefix},)
    run = chaos.begin(fault, providers=served.providers, conditions=condition)
    leaders = [
        chaos.later(lambda: shared(world, key, served.model, stream=stream))
        for _ in range(2)
    ]
    if fault != "cut":
        chaos.wait_for("chaos.injected", run)
    followers = [
        chaos.later(lambda: shared(world, None, served.model, stream=stream))
        for _ in range(3)
    ]
    for one in followers:
        answer = one.result()
        assert answer.status == 200
        assert b"chaos" not in answer.body
    chaos.end(run)
    for one in leaders:
        one.result()


def test_cache__after_injected_answers__has_the_real_one_alone(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok-3", cache_policy="always")
    parameters = {"form": "wrong_shape"}
    run = chaos.begin("malformed", parameters=parameters, providers=served.providers)
    for stream in (False, True):
        assert shared(world, None, served.model, stream=stream).status == 502
    chaos.end(run)
    real = shared(world, None, served.model)
    assert real.status == 200
    again = shared(world, None, served.model)
    assert again.json["choices"] == real.json["choices"]


def test_percent__of_a_run__is_met_about_so_often(world: World, chaos: Chaos) -> None:
    served = world.serve("ok-1")
    run = chaos.begin(
        "rate_limit",
        percent=25.0,
        providers=served.providers,
        conditions=only(world.customer.user_id),
    )
    world.force(served.providers[0], "forced_closed")
    with ThreadPoolExecutor(THREADS) as threads:
        found = Counter(
            threads.map(lambda _: world.chat(served.model).status, range(200))
        )
    assert set(found) == {200, 429}
    assert 25 <= found[429] <= 80
    assert chaos.injected(run, found[429]) == found[429]
