"""Answers that a fault breaks off: what the client gets, and who pays."""

from decimal import Decimal

import openai
import pytest

from tests.live.chaos.conftest import Chaos
from tests.live.world import World

pytestmark = pytest.mark.live


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_cut__after_events_with_content__ends_in_band_and_costs_nothing(
    world: World, chaos: Chaos, endpoint: str
) -> None:
    served = world.serve("ok-50", prices=("1000",))
    parameters = {"unit": "events", "after": 3}
    run = chaos.begin("cut", parameters=parameters, providers=served.providers)
    texts = []
    with world.sdk() as client, pytest.raises(openai.APIError) as raised:
        if endpoint == "chat":
            messages = [{"role": "user", "content": "Hello"}]
            for chunk in client.chat.completions.create(
                model=served.model, messages=messages, stream=True
            ):
                texts += [
                    one.delta.content for one in chunk.choices if one.delta.content
                ]
        else:
            for event in client.responses.create(
                model=served.model, input="Hello", stream=True
            ):
                if event.type == "response.output_text.delta":
                    texts.append(event.delta)
    assert len(texts) == 3
    assert f"The chaos experiment '{run.name}' caused this." in str(raised.value)
    [row] = world.usage_rows()
    assert (row.status, row.error_code) == ("interrupted", "stream_interrupted")
    assert (row.cost_usd, row.provider_cost_usd) == (0, 0)
    assert "refunded" in row.marks
    assert world.counter() == (0, 0, 0)
    [attempt] = world.attempts(str(row.pk), 1)
    assert (attempt.injected_by, attempt.provider) == (run.name, served.providers[0])
    # A prompt and three tokens, at 1000 USD a million for each.
    assert attempt.provider_cost_usd >= Decimal("0.004")
    assert chaos.injected(run, 1) == 1
    breaker = world.breaker(served.providers[0])
    assert (breaker["breaker"], breaker["failures"]) == ("closed", 1)


def test_cut__before_the_first_content__fails_over(world: World, chaos: Chaos) -> None:
    served = world.serve("ok-5", "ok-5", prices=("1000", "1"))
    parameters = {"unit": "events", "after": 0}
    run = chaos.begin("cut", parameters=parameters, providers=served.providers[:1])
    answer = world.chat(served.model, stream=True)
    assert (answer.status, answer.body.count(b"[DONE]")) == (200, 1)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    [attempt] = world.attempts(answer.headers["x-request-id"], 1)
    assert (attempt.injected_by, attempt.status) == (run.name, 200)
    # The provider was asked, and bills the prompt at least.
    assert attempt.provider_cost_usd > 0
    [row] = world.usage_rows()
    assert 0 < row.cost_usd < attempt.provider_cost_usd
    assert row.provider_cost_usd == row.cost_usd


def test_cut__of_a_whole_answer__fails_over_and_only_the_second_is_billed(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok-5", "ok-5", prices=("1000", "1"))
    parameters = {"unit": "bytes", "after": 40}
    run = chaos.begin("cut", parameters=parameters, providers=served.providers[:1])
    answer = world.chat(served.model)
    assert answer.status == 200
    [attempt] = world.attempts(answer.headers["x-request-id"], 1)
    assert attempt.injected_by == run.name
    assert attempt.error.startswith("The provider's reply was cut short")
    assert attempt.provider_cost_usd > 0
    [row] = world.usage_rows()
    assert (row.attempts, row.provider) == (2, served.providers[1])
    assert world.counter()[0] == 1


def test_cut__behind_the_end_of_the_answer__changes_nothing(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok-5")
    parameters = {"unit": "events", "after": 1000}
    run = chaos.begin("cut", parameters=parameters, providers=served.providers)
    for stream in (True, False):
        answer = world.chat(served.model, stream=stream)
        assert answer.status == 200
        assert world.attempts(answer.headers["x-request-id"], 0) == []
    assert all(row.cost_usd > 0 for row in world.usage_rows())
    assert chaos.logged("chaos.injected", run) == []


def test_cut__with_an_idempotency_key__leaves_the_key_free(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok-5")
    parameters = {"unit": "events", "after": 2}
    run = chaos.begin("cut", parameters=parameters, providers=served.providers)

    def ask() -> bytes:
        body = (
            b'{"model":"%b","stream":true,"messages":[{"role":"user","content":"Hi"}]}'
            % served.model.encode()
        )
        answer = world.request(
            "/v1/chat/completions", body, idempotency_key=f"key-of-{served.model}"
        )
        assert answer.status == 200
        return answer.body

    assert b"caused this" in ask()
    chaos.end(run)
    again = ask()
    assert b"caused this" not in again
    assert b"[DONE]" in again
