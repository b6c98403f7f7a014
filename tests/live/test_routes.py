"""Which routes are asked: overrides, weights, none at all; and what is kept secret."""

import pytest

from llm.models import BreakerOverride
from tests.fixtures_billing import make_price, make_provider, make_route
from tests.live.world import World

pytestmark = pytest.mark.live


@pytest.mark.parametrize("upstream_model", ["", "ok"])
def test_override__forced_open__sends_nothing_there(
    world: World, upstream_model: str
) -> None:
    served = world.serve("ok", "ok")
    world.force(served.providers[0], BreakerOverride.State.OPEN, upstream_model)
    answer = world.chat(served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    assert world.usage(answer.headers["x-request-id"]).attempts == 1


def test_override__everything_forced_open__is_503_with_retry_after(
    world: World,
) -> None:
    served = world.serve("ok")
    world.force(served.providers[0], BreakerOverride.State.OPEN)
    answer = world.chat(served.model)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_override__forced_closed_and_well__answers(world: World) -> None:
    served = world.serve("ok")
    world.force(served.providers[0], BreakerOverride.State.CLOSED)
    assert world.chat(served.model).status == 200


def test_override__forced_closed__ignores_failures(world: World) -> None:
    served = world.serve("status-401", "ok")
    world.force(served.providers[0], BreakerOverride.State.CLOSED)
    for _ in range(2):
        answer = world.chat(served.model)
        assert world.usage(answer.headers["x-request-id"]).attempts == 2
    assert world.breaker(served.providers[0])["breaker"] == "closed"


def test_no_route__model_without_an_enabled_provider__is_503(world: World) -> None:
    served = world.serve()
    answer = world.chat(served.model)
    assert (answer.status, answer.error["code"]) == (503, "no_route")
    assert world.counter() == (0, 0, 0)


def test_equal_priority__two_routes__share_the_load_by_weight(world: World) -> None:
    served = world.serve()
    [heavy, light] = [
        world.db(make_provider, base_url=world.demo.url) for _ in range(2)
    ]
    model = world.model(served.model)
    for provider, weight in ((heavy, 300), (light, 100)):
        world.db(make_price, provider.key, "ok")
        world.db(make_route, model, provider, upstream_model="ok", weight=weight)
    answers = [world.chat(served.model) for _ in range(80)]
    used = [answer.headers["x-valuecanvas-provider"] for answer in answers]
    # 60 expected; under 40 or over 76 comes once in a million runs.
    assert 40 <= used.count(heavy.key) <= 76
    assert used.count(heavy.key) + used.count(light.key) == 80


def test_provider_key__sealed__is_sent_upstream_and_never_shown(world: World) -> None:
    secret = "sk-very-secret-0123456789"
    served = world.serve_at(
        (world.demo.url, "status-500"), (world.demo.url, "ok"), api_key=secret
    )
    answer = world.chat(served.model)
    assert answer.status == 200
    failing = world.serve_at((world.demo.url, "status-401"), api_key=secret)
    refused = world.chat(failing.model)
    health = world.request("/api/llm/health", key="")
    shown = [answer.body, refused.body, health.body]
    shown += [str(one.headers).encode() for one in (answer, refused, health)]
    assert not any(secret.encode() in text for text in shown)
    assert secret not in world.server_log()
    assert world.key not in world.server_log()
    assert "request.done" in world.server_log()
    attempts = world.attempts(answer.headers["x-request-id"], 1)
    assert not any(secret in one.error for one in attempts)
