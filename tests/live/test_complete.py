"""POST /api/llm/complete, and the same from Python: one pipeline, one bill."""

import asyncio
from decimal import Decimal

import orjson
import pytest

from llm.gateway import complete, complete_sync, gateway_thread
from tests.fixtures_billing import make_customer, make_team, unique
from tests.live.world import Answer, World
from valuecanvas.core.errors import GatewayError, InvalidRequest, QuotaExceeded

pytestmark = pytest.mark.live

HELLO = [{"role": "user", "content": "Say hello."}]


def test_complete__prompt__answers_with_its_text_and_cost(world: World) -> None:
    served = world.serve("echo")
    answer = world.post("/api/llm/complete", prompt="Say hello.", model=served.model)
    assert answer.status == 200
    row = world.usage(answer.headers["x-request-id"])
    assert answer.json == {
        "content": "Say hello.",
        "cost": float(row.cost_usd),
        "cached": False,
        "provider": served.providers[0],
        "model": served.model,
        "usage": {
            "prompt_tokens": row.prompt_tokens,
            "completion_tokens": row.completion_tokens,
            "total_tokens": row.prompt_tokens + row.completion_tokens,
        },
        "request_id": str(row.pk),
    }
    assert row.cost_usd > 0
    assert answer.headers["x-valuecanvas-cost-usd"] == str(row.cost_usd)
    assert answer.headers["x-ratelimit-remaining-requests"] == "999"


def test_complete__parameters__are_sent_on(world: World) -> None:
    served = world.serve("ok")
    answer = world.post(
        "/api/llm/complete", prompt="Go.", model=served.model, maxTokens=3, seed=7
    )
    assert answer.json["usage"]["completion_tokens"] == 3


def test_complete__user_named_by_a_key_that_may__is_billed_instead(
    world: World,
) -> None:
    world.free_tier()
    served, user = world.serve("ok"), unique("user")
    key = world.new_key(scopes=["llm", "act_as", "act_as_jwt"])
    answer = world.post(
        "/api/llm/complete", key, prompt="Go.", model=served.model, userId=user
    )
    row = world.usage(answer.headers["x-request-id"])
    assert (row.user_id, row.key) == (user, key.split("-")[1])
    assert answer.headers["x-ratelimit-limit-requests"] == "10"
    assert world.counter() == (0, 0, 0)


def test_complete__user_named_by_a_key_that_may_not__is_403(world: World) -> None:
    served = world.serve("ok")
    answer = world.post(
        "/api/llm/complete", prompt="Go.", model=served.model, userId="somebody-else"
    )
    assert (answer.status, answer.error["param"]) == (403, "userId")
    assert world.counter() == (0, 0, 0)


@pytest.mark.parametrize("field", ["x-valuecanvas-user", "userId"])
def test_act_as__without_a_team__reaches_nobody_who_has_a_key(
    world: World, field: str
) -> None:
    """Else one tenant used up another's quota, and read its stored answers."""
    served, key = (
        world.serve("ok"),
        world.new_key(scopes=["llm", "act_as", "act_as_jwt"]),
    )
    victim, own = world.new_customer(daily_requests=2)
    body = {"prompt": "Go."} if field == "userId" else {"messages": HELLO}
    path = "/api/llm/complete" if field == "userId" else "/v1/chat/completions"
    named = {field: victim.user_id, "model": served.model, **body}
    if field != "userId":
        named.pop(field)
        data, sent = orjson.dumps(named), {"x_valuecanvas_user": victim.user_id}
        answer = world.request(path, data, key=key, **sent)
    else:
        answer = world.post(path, key, **named)
    assert (answer.status, answer.error["code"]) == (403, "user_has_key")
    assert answer.error["param"] == field
    assert f"'{field}'" in answer.error["message"]
    assert "one team" in answer.error["message"]
    assert world.counter(victim) == (0, 0, 0)
    assert world.chat(served.model, key=own).status == 200


def test_act_as__user_is_given_a_key__is_out_of_reach_from_then_on(
    world: World,
) -> None:
    world.free_tier()
    served = world.serve("ok")
    key = world.new_key(scopes=["llm", "act_as", "act_as_jwt", "bill_user"])
    user = world.db(make_customer)
    assert world.chat(served.model, key=key, user=user.user_id).status == 200
    world.new_key(user, revoked=True)
    assert world.chat(served.model, key=key, user=user.user_id).status == 403


def test_act_as__of_one_team__reaches_its_users_with_keys(world: World) -> None:
    team = world.db(make_team)
    backend, _ = world.new_customer(team=team)
    user, _ = world.new_customer(team=team)
    key = world.new_key(backend, scopes=["llm", "act_as", "bill_user"])
    answer = world.chat(world.serve("ok").model, key=key, user=user.user_id)
    assert world.usage(answer.headers["x-request-id"]).customer_id == user.pk


def test_complete__user_named_is_the_caller_itself__needs_no_right(
    world: World,
) -> None:
    served = world.serve("ok")
    answer = world.post(
        "/api/llm/complete",
        prompt="Go.",
        model=served.model,
        userId=world.customer.user_id,
    )
    assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": 1}, "prompt"),
        ({"prompt": "x"}, "model"),
        ({"prompt": "x", "model": 3}, "model"),
        ({"prompt": "x", "model": "m", "stream": True}, "stream"),
        ({"prompt": "x", "model": "m", "userId": 7}, "userId"),
        ({"prompt": "x", "model": "m", "maxTokens": -1}, "max_tokens"),
    ],
)
def test_complete__bad_field__is_400_and_names_it(
    world: World, body: dict[str, object], param: str
) -> None:
    answer = world.post("/api/llm/complete", **body)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_complete__no_quota_left__offers_the_upgrade(world: World) -> None:
    served = world.serve("ok")
    _, key = world.new_customer(daily_requests=0)
    answer = world.post("/api/llm/complete", key, prompt="Go.", model=served.model)
    assert (answer.status, answer.error["code"]) == (429, "insufficient_quota")
    assert "upgrade" in answer.error


def test_trace__traceparent__is_kept_with_the_bill(world: World) -> None:
    served = world.serve("ok")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    good = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    body = b'{"prompt":"Go.","model":"%s"}' % served.model.encode()
    answer = world.request("/api/llm/complete", body, **good)
    assert world.usage(answer.headers["x-request-id"]).trace_id == trace
    answer = world.request("/api/llm/complete", body, traceparent="rubbish")
    assert world.usage(answer.headers["x-request-id"]).trace_id == ""


# From Python


def cost_of(answer: Answer) -> Decimal:
    return Decimal(answer.headers["x-valuecanvas-cost-usd"])


async def test_python__complete__bills_as_http_does(world: World) -> None:
    served = world.serve("echo")
    answer = await complete(messages=HELLO, model=served.model, customer=world.customer)
    assert answer.content == "Say hello."
    by_http = world.chat(served.model)
    rows = [world.usage(answer.request_id)]
    rows.append(world.usage(by_http.headers["x-request-id"]))
    for row, cost in zip(rows, [answer.cost_usd, cost_of(by_http)], strict=True):
        billed = Decimal(row.prompt_tokens + 2 * row.completion_tokens)
        assert row.cost_usd == cost == billed / 1_000_000 > 0
    assert rows[0].user_id == rows[1].user_id
    assert (rows[0].key, rows[0].status) == ("", "ok")
    assert answer.prompt_tokens == rows[0].prompt_tokens
    assert answer.completion_tokens == rows[0].completion_tokens
    assert (answer.provider, answer.attempts) == (served.providers[0], 1)
    assert answer.upstream_model == "echo"
    assert answer.epoch == rows[0].epoch
    assert world.counter()[0] == 2


def test_python__complete_sync__answers_from_a_plain_thread(world: World) -> None:
    served = world.serve("status-500", "ok")
    answer = complete_sync(
        messages=HELLO,
        model=served.model,
        customer=world.customer,
        parameters={"max_tokens": 5},
    )
    assert answer.completion_tokens == 5
    assert answer.attempts == 2
    assert answer.provider == served.providers[1]
    assert answer.cost_usd == world.usage(answer.request_id).cost_usd
    world.attempts(answer.request_id, 1)


async def test_python__many_at_once__are_each_billed(world: World) -> None:
    served = world.serve("ok")
    answers = await asyncio.gather(
        *(
            complete(messages=HELLO, model=served.model, customer=world.customer)
            for _ in range(20)
        )
    )
    assert len({answer.request_id for answer in answers}) == 20
    spent = sum((answer.cost_usd for answer in answers), Decimal(0))
    assert world.counter() == (20, int(spent * 1_000_000), 0)


def test_python__tool_call__has_no_content(world: World) -> None:
    served = world.serve("ok")
    tool = {"type": "function", "function": {"name": "go", "parameters": {}}}
    answer = complete_sync(
        messages=HELLO,
        model=served.model,
        customer=world.customer,
        parameters={"tools": [tool], "tool_choice": "required"},
    )
    assert answer.content == ""


def test_python__quota_used_up__raises(world: World) -> None:
    served = world.serve("ok")
    customer, _ = world.new_customer(daily_requests=0)
    with pytest.raises(QuotaExceeded) as raised:
        complete_sync(messages=HELLO, model=served.model, customer=customer)
    assert raised.value.status == 429


def test_python__stream_asked_for__is_refused(world: World) -> None:
    with pytest.raises(InvalidRequest) as raised:
        complete_sync(
            messages=HELLO,
            model="any",
            customer=world.customer,
            parameters={"stream": True},
        )
    assert raised.value.param == "stream"


def test_python__customer_of_a_team__is_counted_there(world: World) -> None:
    served, team = world.serve("ok"), world.db(make_team)
    customer = world.new_customer(team=team)[0]
    answer = complete_sync(messages=HELLO, model=served.model, customer=customer)
    assert world.usage(answer.request_id).team == team.key


def test_gateway_thread__closed__opens_again_with_the_next_call(world: World) -> None:
    served = world.serve("ok")
    for _ in range(2):
        answer = complete_sync(
            messages=HELLO, model=served.model, customer=world.customer
        )
        assert answer.content
        gateway_thread().close()
    gateway_thread().close()
    with pytest.raises(GatewayError):
        complete_sync(messages=HELLO, model="no-such", customer=world.customer)
