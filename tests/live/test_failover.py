"""The retry and failover table, row by row, with two providers."""

from decimal import Decimal

import openai
import pytest

from tests.live.world import World
from valuecanvas.embedded.processes import free_port

pytestmark = pytest.mark.live

# Behaviour of the first provider -> what its answer means.
ELSEWHERE = {
    "status-500": "failure",
    "status-502": "failure",
    "status-503": "failure",
    "status-504": "failure",
    "status-529": "failure",
    "status-408": "unusable",
    "html-502": "failure",
    "html-200": "failure",
    "redirect": "failure",
    "malformed": "failure",
    "truncated@1": "failure",
    "reset@0": "failure",
    "error-event@0": "failure",
    "bomb@10MB": "failure",
    "headers@10000": "failure",
    "status-429@7": "throttled",
    "status-401": "auth",
    "status-403:invalid_api_key": "auth",
    "status-402": "billing",
    "status-429:insufficient_quota": "billing",
}
STATUS_OF = {"html-502": 502, "redirect": 307}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behaviour", ELSEWHERE)
def test_failover__first_provider_fails__the_second_answers_and_is_billed_once(
    world: World, behaviour: str, stream: bool
) -> None:
    served = world.serve(behaviour, "ok-10", prices=("50", "1"))
    answer = world.chat(served.model, stream=stream)
    assert answer.status == 200
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    if stream:
        assert answer.body.count(b"[DONE]") == 1
        assert answer.body.count(b'"role"') == 1
    request_id = answer.headers["x-request-id"]
    [failed] = world.attempts(request_id, 1)
    assert (failed.provider, failed.number) == (served.providers[0], 1)
    assert (failed.outcome, failed.upstream_model) == (ELSEWHERE[behaviour], behaviour)
    [row] = world.usage_rows()
    assert (row.status, row.attempts) == ("ok", 2)
    assert row.provider == served.providers[1]
    billed = row.prompt_tokens + 2 * row.completion_tokens
    assert row.cost_usd == Decimal(billed) / 1_000_000
    assert world.counter() == (1, billed, 0)
    assert world.attempt(request_id, 2).outcome == "done"


@pytest.mark.parametrize("behaviour", ["status-500", "malformed", "error-event@0"])
def test_breaker__failure__is_counted_but_does_not_open_it(
    world: World, behaviour: str
) -> None:
    served = world.serve(behaviour, "ok")
    world.chat(served.model)
    breaker = world.breaker(served.providers[0])
    assert (breaker["breaker"], breaker["failures"]) == ("closed", 1)


@pytest.mark.parametrize(
    ("behaviour", "key", "reason"),
    [("ok", "revoked", "auth"), ("status-402", "", "billing")],
)
def test_breaker__our_key_or_account_is_bad__opens_with_the_reason(
    world: World, behaviour: str, key: str, reason: str
) -> None:
    served = world.serve(behaviour, "ok", api_key=(key, ""))
    assert world.chat(served.model).status == 200
    [event] = world.breaker_events(served.providers[0])
    assert (event.from_state, event.to_state) == ("closed", "open")
    assert event.reason == reason
    breaker = world.breaker(served.providers[0])
    assert (breaker["breaker"], breaker["reason"]) == ("open", reason)
    longest = 300_000 if reason == "billing" else 60_000
    assert 0.5 * longest < breaker["retry_ms"] <= longest
    again = world.chat(served.model)
    assert world.usage(again.headers["x-request-id"]).attempts == 1


def test_breaker__five_failures_in_a_row__opens_and_the_route_is_left_out(
    world: World,
) -> None:
    served = world.serve("status-503", "ok")
    for _ in range(5):
        world.chat(served.model)
    breaker = world.breaker(served.providers[0])
    assert (breaker["breaker"], breaker["reason"]) == ("open", "5 failures in a row")
    answer = world.chat(served.model)
    assert world.usage(answer.headers["x-request-id"]).attempts == 1


def test_throttled__retry_after__is_obeyed_and_passed_on(world: World) -> None:
    served = world.serve("status-429@7")
    first = world.chat(served.model)
    assert (first.status, first.error["code"]) == (429, "providers_throttled")
    assert first.error["type"] == "rate_limit_error"
    assert first.headers["retry-after"] == "7"
    breaker = world.breaker(served.providers[0])
    assert breaker["breaker"] == "closed"
    assert 0 < breaker["throttled_ms"] <= 7000
    second = world.chat(served.model)
    assert (second.status, second.error["code"]) == (429, "providers_throttled")
    assert 1 <= int(second.headers["retry-after"]) <= 7
    assert world.usage(second.headers["x-request-id"]).attempts == 0
    with world.sdk() as client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(
            model=served.model, messages=[{"role": "user", "content": "Hi."}]
        )
    assert world.counter() == (0, 0, 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        ("status-400", 400, None),
        ("status-403", 400, "unsupported_country_region_territory"),
        ("status-404", 404, "model_not_found"),
        ("status-413", 413, "request_too_large"),
        ("status-422", 422, None),
        ("status-400:content_filter", 400, "content_filter"),
    ],
)
def test_client_error__any__is_passed_through_and_refunded(
    world: World, behaviour: str, status: int, code: str | None, stream: bool
) -> None:
    served = world.serve(behaviour, "ok")
    answer = world.chat(served.model, stream=stream)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.error["type"] == "invalid_request_error"
    request_id = answer.headers["x-request-id"]
    row = world.usage(request_id)
    assert (row.status, row.cost_usd, row.attempts) == ("error", 0, 1)
    assert world.counter() == (0, 0, 0)
    assert world.attempts(request_id, 1)[0].outcome == "client"
    assert world.breaker(served.providers[0])["failures"] == 0


def test_together_403__context_too_long__is_the_clients_and_not_a_bad_key(
    world: World,
) -> None:
    served = world.serve("status-403", "ok", provider_kind="together")
    answer = world.chat(served.model)
    assert answer.status == 400
    assert world.breaker(served.providers[0])["breaker"] == "closed"
    assert world.counter() == (0, 0, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_connect_refused__first_provider__is_tried_twice_then_the_next(
    world: World, stream: bool
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    served = world.serve_at((nobody, "ok"), (world.demo.url, "ok"))
    answer = world.chat(served.model, stream=stream)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    request_id = answer.headers["x-request-id"]
    failed = world.attempts(request_id, 2)
    assert [one.provider for one in failed] == [served.providers[0]] * 2
    assert {one.outcome for one in failed} == {"failure"}
    assert world.usage(request_id).attempts == 3
    assert world.breaker(served.providers[0])["failures"] == 2


def test_connect_refused__everywhere__is_502_and_refunded(world: World) -> None:
    served = world.serve_at((f"http://127.0.0.1:{free_port()}/v1", "ok"))
    answer = world.chat(served.model)
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
    assert world.counter() == (0, 0, 0)


def test_dns_failure__first_provider__fails_over(world: World) -> None:
    served = world.serve_at(
        ("http://no-such-host.invalid/v1", "ok"), (world.demo.url, "ok")
    )
    answer = world.chat(served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]


def test_attempts__four_routes_fail__only_three_are_tried(world: World) -> None:
    served = world.serve(*["status-500"] * 4, "ok")
    answer = world.chat(served.model)
    assert answer.status == 502
    request_id = answer.headers["x-request-id"]
    assert world.usage(request_id).attempts == 3
    assert [one.number for one in world.attempts(request_id, 3)] == [1, 2, 3]


@pytest.mark.parametrize("behaviour", ["hang", "hang_headers", "stall@1", "slow@9s"])
def test_first_token__not_in_time__the_next_provider_answers(
    world: World, behaviour: str
) -> None:
    served = world.serve(behaviour, "ok", first_token_s=1)
    answer = world.chat(served.model, stream=True)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    request_id = answer.headers["x-request-id"]
    [failed] = world.attempts(request_id, 1)
    assert (failed.outcome, failed.status) == ("failure", None)
    assert failed.latency_ms >= 990
    assert world.attempt(request_id).outcome == "client_gone"
    assert world.breaker(served.providers[0])["failures"] == 1


@pytest.mark.parametrize("behaviour", ["hang", "hang_headers", "stall@1"])
def test_total_time__used_up_by_the_only_provider__is_504_and_refunded(
    world: World, behaviour: str
) -> None:
    served = world.serve(behaviour, first_token_s=1, total_s=1)
    answer = world.chat(served.model)
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    assert world.counter() == (0, 0, 0)
    assert world.usage(answer.headers["x-request-id"]).latency_ms >= 990


def test_time_left__less_than_a_first_token_needs__starts_no_attempt(
    world: World,
) -> None:
    served = world.serve("hang", "ok", first_token_s=2, total_stream_s=3)
    answer = world.chat(served.model, stream=True)
    assert answer.status == 504
    assert world.usage(answer.headers["x-request-id"]).attempts == 1


def test_all_routes_open__request__is_503_at_once_and_refunded(world: World) -> None:
    served = world.serve("status-402", "status-402")
    assert world.chat(served.model).status == 502
    answer = world.chat(served.model)
    assert (answer.status, answer.error["code"]) == (503, "no_provider_available")
    assert 250 <= int(answer.headers["retry-after"]) <= 300
    assert answer.headers["x-ratelimit-remaining-requests"]
    row = world.usage(answer.headers["x-request-id"])
    assert (row.attempts, row.status, row.marks) == (0, "error", ["refunded"])
    assert world.counter() == (0, 0, 0)
