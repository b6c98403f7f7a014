"""Each refusal leaves a trace: found by its request id, with what refused and why."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.minute_limits import MinuteLimits
from billing.models import Budget, Refusal, Usage
from llm.admin.refusal_reason import explain
from llm.models import BreakerOverride
from tests.fixtures_billing import make_api_key, make_team
from tests.live.world import Answer, World, request_id, unique

pytestmark = pytest.mark.live


def trace(world: World, answer: Answer) -> Refusal:
    """The row of a refused request, which is the customer's too."""
    pk = request_id(answer)
    row = world.eventually(lambda: Refusal.objects.filter(pk=pk).first())
    assert (row.status, row.code) == (answer.status, answer.error["code"])
    assert row.message == answer.error["message"]
    assert (row.param or None) == answer.error["param"]
    assert world.db(Usage.objects.filter(pk=pk).exists) is False
    return row


def refusing(row: Refusal) -> dict[str, Any]:
    found: dict[str, Any]
    [found] = [one for one in row.limits if one["refused"]]
    return found


def test_quota__used_up__leaves_where_it_stood_and_when_it_resets(world: World) -> None:
    customer, key = world.new_customer(daily_requests=1)
    served = world.serve("ok")
    assert world.chat(served.model, key=key).status == 200
    answer = world.chat(served.model, key=key)
    row = trace(world, answer)
    assert (row.step, row.code) == ("admit", "insufficient_quota")
    assert (row.customer_id, row.user_id) == (customer.pk, customer.user_id)
    assert (row.endpoint, row.model, row.key) == ("chat", served.model, key[3:15])
    limit = refusing(row)
    assert (limit["scope"], limit["name"]) == ("customer", "requests_per_day")
    assert (limit["used"], limit["held"], limit["limit"]) == (1, 0, 1)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert limit["resets_at"] == f"{tomorrow}T00:00:00+00:00"
    assert row.retry_at is not None
    assert row.epoch is not None
    why = world.db(explain, row)
    assert why.startswith("The requests a day of this customer had 1 used of 1.")
    assert "higher tier" in why
    assert answer.error["limit"] == {
        "scope": "customer",
        "name": "requests_per_day",
        "used": 1,
        "limit": 1,
        "unit": "requests",
        "resets_at": limit["resets_at"],
    }


@pytest.mark.parametrize("scope", ["global", "team", "customer", "key"])
def test_budget__of_each_scope__is_named_with_its_amounts(
    world: World, scope: str
) -> None:
    served = world.serve("ok")
    team = world.db(make_team)
    customer, _ = world.new_customer(daily_requests=10, team=team)
    key, text = world.db(make_api_key, customer)
    assert world.chat(served.model, key=text).status == 200
    owners = {"team": team, "customer": customer, "key": key, "global": None}
    world.budget(target=owners[scope], limit="0.0001")
    try:
        # Another's request has the process load the budget.
        world.chat(served.model)
        answer = world.chat(served.model, key=text, max_tokens=500)
        row = trace(world, answer)
    finally:
        world.db(lambda: [one.delete() for one in Budget.objects.filter(scope=scope)])
    limit = refusing(row)
    assert (row.step, row.code) == ("admit", "budget_exceeded")
    assert (limit["scope"], limit["name"], limit["unit"]) == (
        scope,
        "budget_day",
        "usd",
    )
    owner = {"team": team.key, "customer": str(customer.pk), "key": key.prefix}
    assert limit["owner"] == owner.get(scope, "")
    assert limit["limit"] == 0.0001
    assert row.team == team.key
    quota = next(one for one in row.limits if one["name"] == "requests_per_day")
    assert (quota["used"], quota["limit"], quota["refused"]) == (1, 10, False)
    whose = "everyone" if scope == "global" else f"this {scope}"
    assert f"The day budget of {whose} had $" in world.db(explain, row)
    shown = answer.error["limit"]
    assert shown["scope"] == scope
    known = scope != "global"
    assert shown["limit"] == (0.0001 if known else None)
    assert (shown["used"] is not None) is known


def test_budget__a_smaller_cap_fits__is_in_the_trace(world: World) -> None:
    served = world.serve("ok")
    customer, key = world.new_customer(daily_requests=10)
    world.budget(target=customer, limit="0.001")
    # Another prompt may have more tokens.
    prompt = "Say hello to those who save."
    row = trace(world, world.chat(served.model, prompt, key=key, max_tokens=5000))
    cap = row.max_tokens
    assert cap
    assert f"at most {cap} fits" in row.message
    assert world.chat(served.model, prompt, key=key, max_tokens=cap).status == 200


def test_minute__requests_used_up__leaves_when_to_try_again(world: World) -> None:
    _, key = world.new_customer(daily_requests=50, requests_per_minute=1)
    served = world.serve("ok")
    assert world.chat(served.model, key=key).status == 200
    row = trace(world, world.chat(served.model, key=key))
    limit = refusing(row)
    assert (row.step, row.code) == ("look up", "rate_limit_exceeded")
    assert (limit["scope"], limit["name"]) == ("customer", "requests_per_minute")
    assert (limit["used"], limit["limit"], limit["unit"]) == (1, 1, "requests")
    assert row.retry_at is not None
    assert row.retry_at > row.created_at
    why = world.db(explain, row)
    assert "The requests a minute of this customer had 1 used of 1." in why
    assert f"{row.retry_at:%H:%M:%S} UTC" in why


def test_minute__tokens_can_never_fit__leaves_the_cap_that_does(world: World) -> None:
    _, key = world.new_customer(daily_requests=50, tokens_per_minute=500)
    served = world.serve("ok")
    row = trace(world, world.chat(served.model, key=key, max_tokens=1000))
    limit = refusing(row)
    assert (limit["name"], limit["used"], limit["limit"]) == ("tokens_per_minute", 0, 500)  # fmt: skip
    assert (limit["resets_at"], row.retry_at) == (None, None)
    assert row.max_tokens is not None
    assert 300 < row.max_tokens < 500


def test_at_once__all_taken__is_in_the_trace(world: World) -> None:
    _, key = world.new_customer(daily_requests=50, concurrent_requests=1)
    served = world.serve("drip@20ms:500")
    with world.sdk(key) as client:
        messages = [{"role": "user", "content": unique("Say hello to")}]
        stream: Any = client.chat.completions.create(model=served.model, messages=messages, stream=True)  # fmt: skip
        next(stream)
        row = trace(world, world.chat(served.model, key=key))
        stream.close()
    limit = refusing(row)
    assert (limit["name"], limit["unit"]) == ("requests_at_once", "concurrent")
    assert (limit["used"], limit["limit"]) == (1, 1)


def test_minute__of_the_key__leaves_the_customers_limit_too(world: World) -> None:
    customer, _ = world.new_customer(daily_requests=50, requests_per_minute=9)
    key = world.new_key(customer, limits=MinuteLimits(requests=1))
    served = world.serve("ok")
    assert world.chat(served.model, key=key).status == 200
    row = trace(world, world.chat(served.model, key=key))
    assert refusing(row)["scope"] == "key"
    [other] = [one for one in row.limits if one["scope"] == "customer"]
    assert (other["name"], other["limit"]) == ("requests_per_minute", 9)


def test_key__never_issued__leaves_no_trace(world: World) -> None:
    served = world.serve("ok")
    answer = world.chat(served.model, key="vc-0123456789ab-" + "x" * 40)
    assert answer.status == 401
    trace(world, world.chat(unique("no-model")))
    assert not world.db(Refusal.objects.filter(pk=request_id(answer)).exists)


def test_request__of_which_every_provider_failed__is_in_the_ledger_alone(
    world: World,
) -> None:
    served = world.serve("ok")
    world.force(served.providers[0], BreakerOverride.State.OPEN)
    answer = world.chat(served.model)
    assert answer.status == 503
    assert world.usage(request_id(answer)).error_code == answer.error["code"]
    trace(world, world.chat(unique("no-model")))
    assert not world.db(Refusal.objects.filter(pk=request_id(answer)).exists)


def test_read__with_a_wrong_secret__is_traced_with_its_endpoint(world: World) -> None:
    assert world.request("/v1/models").status == 200
    wrong = world.key[:-4] + ("aaaa" if world.key[-4:] != "aaaa" else "bbbb")
    row = trace(world, world.request("/v1/files/a/content", key=wrong))
    assert (row.step, row.customer_id) == ("authenticate", world.customer.pk)
    # Without the id: the counts of a flood are by the endpoint.
    assert row.endpoint == "/v1/files/{file_id}/content"


def test_read__of_what_is_not_there__leaves_no_trace(world: World) -> None:
    answer = world.request("/v1/files/a")
    assert answer.status == 404
    trace(world, world.chat(unique("no-model")))
    assert not world.db(Refusal.objects.filter(pk=request_id(answer)).exists)


@pytest.mark.parametrize(
    ("path", "endpoint"), [("/v1/chat/completions", "chat"), ("/v1/models", "/v1/models")]
)  # fmt: skip
def test_refusal__of_an_unknown_key__is_counted_once(
    world: World, path: str, endpoint: str
) -> None:
    series = (
        f'valuecanvas_refused_total{{code="invalid_api_key",endpoint="{endpoint}"}}'
    )

    def count() -> float:
        lines = (line.split() for line in world.metrics().splitlines())
        return next((float(line[1]) for line in lines if line[0] == series), 0)

    before = count()
    chat = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    data = chat if endpoint == "chat" else None
    assert world.request(path, data, key="vc-0123456789ab-" + "x" * 40).status == 401
    assert count() == before + 1
