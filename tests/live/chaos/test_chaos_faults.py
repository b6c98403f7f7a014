"""Each fault from end to end: client, failover, breaker, ledger, attempts, metrics, log."""

import time
from decimal import Decimal
from typing import Any

import openai
import pytest

from llm.settlement.explanation import explain_usage
from tests.live.chaos.conftest import Chaos
from tests.live.world import Answer, World

pytestmark = pytest.mark.live

# (fault, parameters) -> (verdict, status of the attempt, in what its message begins)
REFUSED: dict[str, tuple[str, dict[str, Any], str, int | None, str]] = {
    "error": ("error", {"status": 503}, "failure", 503, "The provider answered 503"),
    "edge": ("error", {"status": 524}, "failure", 524, "The provider answered 524"),
    "limit": ("rate_limit", {"retry_after_s": 7}, "throttled", 429, "The provider answered 429"),
    "not_json": ("malformed", {"form": "not_json"}, "failure", 200, "The provider's"),
    "truncated": ("malformed", {"form": "truncated"}, "failure", 200, "The provider's"),
    "html": ("malformed", {"form": "html"}, "failure", 200, "The provider's"),
    "compressed": ("malformed", {"form": "compressed"}, "failure", 200, "The provider sent a compressed"),
    "wrong_shape": ("malformed", {"form": "wrong_shape"}, "", 200, ""),
}  # fmt: skip


def failed_attempts(world: World, answer: Answer, count: int = 1) -> list[Any]:
    return world.attempts(answer.headers["x-request-id"], count)


@pytest.mark.parametrize("case", REFUSED)
def test_fault__instead_of_an_answer__fails_over_and_reaches_no_provider(
    world: World, chaos: Chaos, case: str
) -> None:
    fault, parameters, verdict, status, message = REFUSED[case]
    served = world.serve("ok-3", "ok-3", prices=("50", "1"))
    first, second = served.providers
    run = chaos.begin(fault, parameters=parameters, providers=[first])
    # A provider that throttles us is not asked again at once.
    world.force(first, "forced_closed")
    for stream in (False, True):
        answer = world.chat(served.model, stream=stream)
        assert answer.status == 200
        assert answer.headers["x-valuecanvas-provider"] == second
        [attempt] = failed_attempts(world, answer)
        assert (attempt.provider, attempt.injected_by) == (first, run.name)
        assert attempt.status == status
        assert attempt.outcome == verdict or case == "wrong_shape"
        assert attempt.error.startswith(message)
        assert f"(injected by the chaos experiment '{run.name}')." in attempt.error
        assert attempt.provider_cost_usd == 0
        assert not chaos.reached(answer, 1)
    for row in world.usage_rows():
        assert (row.status, row.attempts, row.provider) == ("ok", 2, second)
        assert row.cost_usd < Decimal("0.000050")
    assert chaos.injected(run, 2) == 2
    for line in chaos.logged("chaos.injected", run):
        assert all(part in line for part in (run.name, fault, first, served.model))


@pytest.mark.parametrize(
    "form", ["not_json", "truncated", "html", "compressed", "wrong_shape"]
)
def test_malformed__at_the_other_endpoints__is_never_an_answer(
    world: World, chaos: Chaos, form: str
) -> None:
    chat, vectors = world.serve("ok"), world.serve("ok", kind="embedding")
    providers = [*chat.providers, *vectors.providers]
    chaos.begin("malformed", parameters={"form": form}, providers=providers)
    for path, model, more in (
        ("/v1/responses", chat.model, {}),
        ("/v1/responses", chat.model, {"stream": True}),
        ("/v1/embeddings", vectors.model, {}),
    ):
        answer = world.post(path, model=model, input="Hello", **more)
        assert answer.status == 502, answer.body
        assert "chaos experiment" in answer.error["message"]
    assert world.counter() == (0, 0, 0)


def test_error__on_every_route__is_refunded_and_says_what_it_is(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok", "ok")
    run = chaos.begin("error", parameters={"status": 500}, providers=served.providers)
    with world.sdk() as client, pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(
            model=served.model, messages=[{"role": "user", "content": "Hello"}]
        )
    assert raised.value.status_code == 502
    assert f"injected by the chaos experiment '{run.name}'" in raised.value.message
    [row] = world.usage_rows()
    assert (row.status, row.cost_usd, row.provider_cost_usd) == ("error", 0, 0)
    assert "refunded" in row.marks
    assert world.counter() == (0, 0, 0)
    told = explain_usage(row, world.attempts(str(row.pk), 2))
    assert told.count(f"injected by the experiment '{run.name}'") == 2
    assert chaos.injected(run, 2) == 2
    metrics = world.metrics()
    counted = (
        f'valuecanvas_chaos_faults_total{{experiment="{run.name}",fault="error"}} 2.0'
    )
    assert counted in metrics
    for provider in served.providers:
        named = f'valuecanvas_attempts_failed_total{{provider="{provider}",verdict='
        assert f'{named}"injected"}} 1.0' in metrics
        assert f'{named}"failure"}}' not in metrics


def test_error__on_everybody__opens_the_breaker_which_says_why(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok", "ok")
    run = chaos.begin(
        "error", parameters={"status": 500}, providers=served.providers[:1]
    )
    for _ in range(5):
        assert world.chat(served.model).status == 200
    assert world.breaker(served.providers[0])["breaker"] == "open"
    [event] = world.breaker_events(served.providers[0])
    assert event.reason == f"5 failures in a row (injected by {run.name})"
    again = world.chat(served.model)
    assert world.usage(again.headers["x-request-id"]).attempts == 1
    assert chaos.injected(run, 5) == 5


def test_error__after_the_end_of_the_run__is_injected_no_more(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok")
    run = chaos.begin("error", parameters={"status": 500}, providers=served.providers)
    assert world.chat(served.model).status == 502
    chaos.end(run)
    assert world.chat(served.model).status == 200


def test_rate_limit__on_every_route__is_passed_on_with_its_retry_after(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok")
    chaos.begin(
        "rate_limit", parameters={"retry_after_s": 7}, providers=served.providers
    )
    with world.sdk() as client, pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(
            model=served.model, messages=[{"role": "user", "content": "Hello"}]
        )
    assert raised.value.code == "providers_throttled"
    assert raised.value.response.headers["retry-after"] == "7"
    assert world.breaker(served.providers[0])["throttled_ms"] > 0
    assert world.counter() == (0, 0, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_latency__of_a_fixed_delay__comes_before_the_real_answer(
    world: World, chaos: Chaos, stream: bool
) -> None:
    served = world.serve("ok-3")
    parameters = {"delay_ms": 700}
    run = chaos.begin("latency", parameters=parameters, providers=served.providers)
    answer = world.chat(served.model, stream=stream)
    assert answer.status == 200
    [row] = world.usage_rows()
    assert row.status == "ok"
    assert row.latency_ms >= 700
    assert row.cost_usd > 0
    assert failed_attempts(world, answer, 0) == []
    assert chaos.injected(run, 1) == 1


def test_latency__when_the_run_is_stopped__ends_at_once(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok")
    parameters = {"delay_ms": 300_000, "most_ms": 300_000}
    run = chaos.begin("latency", parameters=parameters, providers=served.providers)
    waiting = chaos.later(lambda: world.chat(served.model))
    chaos.wait_for("chaos.injected", run)
    chaos.end(run)
    answer: Answer = waiting.result()
    assert answer.status == 200
    assert answer.headers["x-valuecanvas-provider"] == served.providers[0]


def test_timeout__until_the_callers_limit__is_refunded(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok-3", first_token_s=1, between_tokens_s=1, total_s=1)
    run = chaos.begin("timeout", providers=served.providers)
    answer = world.chat(served.model)
    assert answer.status == 504
    assert run.name in answer.error["message"]
    [attempt] = failed_attempts(world, answer)
    assert (attempt.outcome, attempt.injected_by) == ("failure", run.name)
    assert attempt.provider_cost_usd == 0
    assert not chaos.reached(answer, 1)
    assert world.counter() == (0, 0, 0)


def test_timeout__until_the_first_token_is_due__fails_over(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok-3", "ok-3", first_token_s=1)
    run = chaos.begin("timeout", providers=served.providers[:1])
    answer = world.chat(served.model, stream=True)
    assert (answer.status, answer.body.count(b"[DONE]")) == (200, 1)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    [attempt] = failed_attempts(world, answer)
    assert attempt.injected_by == run.name
    assert "did not answer in time" in attempt.error


def test_latency__that_leaves_a_stream_too_little_time__is_refunded(
    world: World, chaos: Chaos
) -> None:
    limits = {"first_token_s": 3, "between_tokens_s": 1, "total_stream_s": 4}
    served = world.serve("drip@500ms+ok-6", **limits)
    parameters = {"delay_ms": 2_000}
    run = chaos.begin("latency", parameters=parameters, providers=served.providers)
    answer = world.chat(served.model, stream=True)
    assert answer.status == 200
    assert f"The chaos experiment '{run.name}' caused this.".encode() in answer.body
    [row] = world.usage_rows()
    assert (row.status, row.cost_usd) == ("interrupted", 0)
    assert world.counter() == (0, 0, 0)
    [attempt] = failed_attempts(world, answer)
    assert attempt.provider_cost_usd > 0
    # We ended it: that says nothing about the provider.
    assert world.breaker(served.providers[0])["failures"] == 0


def test_timeout__when_the_lease_ends_by_itself__is_answered(
    world: World, chaos: Chaos
) -> None:
    served = world.serve("ok")
    begun = time.monotonic()
    run = chaos.begin("timeout", providers=served.providers, lease_s=4)
    answer = world.chat(served.model)
    assert answer.status == 200
    assert time.monotonic() - begun > 2
    assert chaos.injected(run, 1) == 1
    assert world.chat(served.model).status == 200
    assert chaos.injected(run, 1) == 1


def test_fault__with_the_stop_file__is_injected_no_more(
    world: World, chaos: Chaos, stop_file: Any
) -> None:
    served = world.serve("ok")
    run = chaos.begin("error", providers=served.providers)
    assert world.chat(served.model).status == 502
    stop_file.touch()
    try:
        chaos.wait_for("chaos.lease_ended", run)
        assert world.chat(served.model).status == 200
    finally:
        stop_file.unlink()
