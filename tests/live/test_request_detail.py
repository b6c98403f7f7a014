"""GET /v1/requests/{id}: what became of a request, for those whose it is."""

from typing import Any

import pytest
from pytest_django import Settings

from billing.models import Reservation
from llm.runtime import Runtime
from tests.admin.rows import make_refusal, make_usage
from tests.fixtures_billing import make_api_key
from tests.live.inside import Exchange
from tests.live.world import Answer, World, request_id, unique
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.live


def look(world: World, answer: Answer, key: str = "") -> Answer:
    return world.request(f"/v1/requests/{request_id(answer)}", key=key or world.key)


def found(world: World, answer: Answer, key: str = "") -> dict[str, Any]:
    """As soon as it is there."""

    def ask() -> Answer | None:
        got = look(world, answer, key)
        return got if got.status == 200 else None

    record: dict[str, Any] = world.eventually(ask).json
    assert (record["object"], record["id"]) == ("request", request_id(answer))
    return record


def test_request__served__has_its_bill_and_failed_attempts(world: World) -> None:
    served = world.serve("status-503", "ok")
    answer = world.chat(served.model)
    assert answer.status == 200
    world.attempts(request_id(answer), 1)
    record = found(world, answer)
    assert (record["outcome"], record["error"]) == ("served", None)
    assert record["trace_id"] is None
    assert (record["model"], record["endpoint"]) == (served.model, "chat")
    assert record["provider"] == served.providers[1]
    usage = answer.json["usage"]
    assert record["prompt_tokens"] == usage["prompt_tokens"]
    assert record["cost_usd"] == float(answer.headers["x-valuecanvas-cost-usd"])
    [failed] = record["failed_attempts"]
    assert (failed["provider"], failed["status"]) == (served.providers[0], 503)
    assert "error" not in failed


def test_request__refused__has_the_limits_as_the_error_had(world: World) -> None:
    _, key = world.new_customer(daily_requests=1)
    served = world.serve("ok")
    assert world.chat(served.model, key=key).status == 200
    answer = world.chat(served.model, key=key)
    record = found(world, answer, key)
    assert (record["outcome"], record["step"]) == ("refused", "admit")
    assert record["error"]["message"] == answer.error["message"]
    assert record["error"]["code"] == "insufficient_quota"
    [limit] = record["limits"]
    assert limit == {**answer.error["limit"], "refused": True}
    assert record["retry_at"] is not None


def test_request__refused_by_a_budget_for_all__has_no_amounts(world: World) -> None:
    limit = {
        "scope": "global", "owner": "", "name": "budget_day", "unit": "usd", "used": 7.5,
        "held": 1.0, "limit": 10.0, "resets_at": None, "refused": True,
    }  # fmt: skip
    row = world.db(make_refusal, world.customer, limits=[limit], param="model")
    record = world.request(f"/v1/requests/{row.pk}").json
    [shown] = record["limits"]
    assert (shown["scope"], shown["refused"]) == ("global", True)
    assert (shown["used"], shown["limit"]) == (None, None)
    assert record["error"]["param"] == "model"


def test_request__under_way__says_so(world: World) -> None:
    served = world.serve("drip@20ms:500")
    with world.sdk() as client:
        messages: Any = [{"role": "user", "content": unique("Say hello to")}]
        stream = client.chat.completions.create(model=served.model, messages=messages, stream=True)  # fmt: skip
        next(iter(stream))
        held = world.eventually(
            lambda: Reservation.objects.filter(customer_id=world.customer.pk).first()
        )
        record = world.request(f"/v1/requests/{held.pk}").json
        stream.close()
    assert record["outcome"] == "in_progress"


def test_request__of_another_customer__is_not_there(world: World) -> None:
    _, key = world.new_customer()
    for row in (world.db(make_usage, world.customer), world.db(make_refusal, world.customer)):  # fmt: skip
        path = f"/v1/requests/{row.pk}"
        assert world.request(path).status == 200
        answer = world.request(path, key=key)
        assert (answer.status, answer.error["code"]) == (404, "request_not_found")


def test_request__by_another_key_of_its_customer__is_there(world: World) -> None:
    row = world.db(make_refusal, world.customer)
    assert world.request(f"/v1/requests/{row.pk}", key=world.new_key()).status == 200


def test_request__of_the_user_that_the_key_acts_for__is_there(world: World) -> None:
    other, _ = world.new_customer()
    row = world.db(make_refusal, other)
    key = world.db(
        make_api_key, world.customer, scopes=["llm", "act_as", "act_as_jwt"]
    )[1]
    path, user = f"/v1/requests/{row.pk}", {"x_valuecanvas_user": other.user_id}
    refused = world.request(path, key=key, **user)
    # It has a key of its own, which is for that user alone.
    assert (refused.status, refused.error["code"]) == (403, "user_has_key")


@pytest.mark.parametrize("name", ["nothing", "0198c1a2-0000-7000-8000-000000000000"])
def test_request__unknown__is_404(world: World, name: str) -> None:
    answer = world.request(f"/v1/requests/{name}")
    assert (answer.status, answer.error["code"]) == (404, "request_not_found")


def test_request__without_a_key__is_401(world: World) -> None:
    assert world.request(f"/v1/requests/{uuid7()}", key="").status == 401


async def test_request__looked_up_too_often__is_429(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    settings.LOOKUPS_PER_MINUTE = 1
    row = indoors.db(make_refusal, indoors.customer)
    path = f"/v1/requests/{row.pk}"
    first, second = [
        await Exchange(gateway, path, method="GET", key=indoors.key).run()
        for _ in range(2)
    ]
    assert (first.status, second.status) == (200, 429)
    assert "look-ups of requests" in second.error["message"]
    assert second.error["limit"]["name"] == "requests_per_minute"
