"""Whoever is refused is told how much of the day's quota is left."""

import orjson
import psycopg
import pytest

from llm.admission import quota_headers
from llm.runtime import Runtime
from tests.fixtures_billing import make_customer
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.server import database_url
from tests.live.shared import offered
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live
SHORT = "/api/llm/complete"


def check_told(answer: Answer, *, limit: int, left: int) -> None:
    told = answer.headers
    assert told["x-ratelimit-limit-requests"] == str(limit)
    assert told["x-ratelimit-remaining-requests"] == str(left)
    assert told["x-ratelimit-reset-requests"]
    assert f'"daily";q={limit};w=86400' in told["ratelimit-policy"]
    assert f'"daily";r={left};t=' in told["ratelimit"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (CHAT, b"{", 400),
        (CHAT, b'{"model": 5}', 400),
        (CHAT, b'{"model":"no-such","messages":[{"role":"user","content":"x"}]}', 404),
        ("/v1/embeddings", b"{}", 400),
        ("/v1/responses", b"{}", 400),
        (SHORT, b'{"nonsense": 1}', 400),
        (SHORT, b'{"prompt":"x","model":"m","userId":"somebody"}', 403),
    ],
)
def test_refusal__before_admission__tells_the_quota_and_takes_none(
    world: World, path: str, body: bytes, status: int
) -> None:
    answer = world.request(path, body)
    assert answer.status == status
    check_told(answer, limit=1000, left=1000)
    assert world.counter() == (0, 0, 0)


def test_refusal__bad_header__tells_the_quota(world: World) -> None:
    answer = world.request(CHAT, b"{}", idempotency_key="")
    assert (answer.status, answer.error["param"]) == (400, "Idempotency-Key")
    check_told(answer, limit=1000, left=1000)


def test_refusal__after_others_were_served__tells_what_they_left(world: World) -> None:
    served = world.serve("ok")
    assert world.chat(served.model).status == 200
    check_told(world.post(CHAT), limit=1000, left=999)


def test_refusal__in_another_users_name__tells_of_that_users(world: World) -> None:
    tier = world.free_tier()
    user = world.db(make_customer, tier=tier)
    key = world.new_key(scopes=["llm", "act_as", "act_as_jwt", "bill_user"])
    answer = world.chat("no-such", key=key, user=user.user_id)
    assert answer.status == 404
    check_told(answer, limit=tier.daily_requests, left=tier.daily_requests)


def test_refusal__budget__tells_the_quota(world: World) -> None:
    world.budget(limit="0.000001")
    answer = world.chat(world.serve("ok").model)
    assert (answer.status, answer.error["code"]) == (429, "budget_exceeded")
    check_told(answer, limit=1000, left=1000)


def test_refusal__by_the_tokens_of_a_minute__tells_both(world: World) -> None:
    _, key = world.new_customer(daily_requests=50, tokens_per_minute=1)
    answer = world.chat(world.serve("ok").model, key=key)
    assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
    check_told(answer, limit=50, left=50)
    assert '"tokens";' in answer.headers["ratelimit"]


def test_refusal__wrong_key_and_wrong_body__is_401(world: World) -> None:
    """Else the headers of the 400 would tell good keys from bad ones."""
    answer = world.request(CHAT, b"{", key="vc-wrong0000000-key")
    assert answer.status == 401
    assert "x-ratelimit-limit-requests" not in answer.headers


async def test_refusal__again_at_once__is_told_from_memory(
    indoors: World, gateway: Runtime
) -> None:
    answers = [
        await Exchange(gateway, CHAT, b"{}", key=indoors.key).run() for _ in range(2)
    ]
    for answer in answers:
        check_told(answer, limit=1000, left=1000)


async def test_refusal__counters_cannot_be_read_in_time__goes_without(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_headers, "WITHIN_S", 0.05)
    with psycopg.connect(indoors.db(database_url)) as holder:
        holder.execute("LOCK TABLE billing_counter IN ACCESS EXCLUSIVE MODE")
        answer = await Exchange(gateway, CHAT, b"{}", key=indoors.key).run()
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")
    assert "x-ratelimit-limit-requests" not in answer.headers


# Tiers whose stored answers take no unit.


def test_hit__tier_without_units_for_hits__takes_none_and_outlives_the_quota(
    world: World,
) -> None:
    customer, key = world.new_customer(daily_requests=1, hits_take_quota=False)
    with offered(world) as offer:
        first = offer.ask(key=key)
        check_told(first, limit=1, left=0)
        hit = offer.ask(key=key, idempotency_key_header=unique("key"))
        assert (hit.status, hit.headers["x-valuecanvas-cache"]) == (200, "hit")
        check_told(hit, limit=1, left=0)
        assert offer.ask(key=key, temperature=0.5).status == 429
        assert offer.calls == 1
    row = world.usage(hit.headers["x-request-id"])
    assert (row.cached, row.cost_usd, row.marks) == (True, 0, ["refunded"])
    assert world.counter(customer)[0] == 1


async def test_hit__tier_without_units_for_hits__is_given_past_a_remembered_refusal(
    indoors: World, gateway: Runtime
) -> None:
    _, key = indoors.new_customer(daily_requests=1, hits_take_quota=False)
    model = indoors.serve("ok").model
    body = chat_body(model)

    async def ask(sent: bytes) -> Answer:
        return await Exchange(gateway, CHAT, sent, key=key).run()

    first = await ask(body)
    refused = [await ask(chat_body(model)) for _ in range(3)]
    assert {one.status for one in refused} == {429}
    hit = await ask(body)
    assert (hit.status, hit.headers["x-valuecanvas-cache"]) == (200, "hit")
    assert orjson.loads(hit.body) == orjson.loads(first.body)
