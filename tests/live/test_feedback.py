"""POST /v1/feedback: what a caller says of an answer."""

from typing import Any

import orjson
import pytest
from django.db import OperationalError

from billing.models import Usage
from llm.models import Feedback
from llm.runtime import Runtime
from tests.admin.rows import make_reservation, make_usage
from tests.fixtures_billing import make_api_key, make_customer, make_team
from tests.live.inside import Exchange
from tests.live.world import Answer, World, request_id
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.live
PATH = "/v1/feedback"


async def say(world: World, gateway: Runtime, key: str = "", **body: Any) -> Answer:
    exchange = Exchange(gateway, PATH, orjson.dumps(body), key=key or world.key)
    return await exchange.run()


def usage(world: World, **fields: Any) -> Usage:
    chosen = {"prompt_key": "canvas.generate", "prompt_version": 3, "variant": "e:b"}
    return world.db(make_usage, world.customer, **chosen, **fields)


def feedback(world: World, row: Usage) -> Feedback:
    return world.db(Feedback.objects.get, pk=row.pk)


async def test_feedback__of_an_own_request__is_kept_with_what_it_was_of(
    indoors: World, gateway: Runtime
) -> None:
    row = usage(indoors, subject=-5)
    answer = await say(
        indoors, gateway, request_id=str(row.pk), score=1, comment="Good ♥"
    )
    assert answer.status == 200
    assert answer.json == {
        "object": "feedback",
        "request_id": str(row.pk),
        "score": 1.0,
        "comment": "Good ♥",
    }
    kept = feedback(indoors, row)
    assert (kept.score, kept.comment, kept.user_id) == (1.0, "Good ♥", row.user_id)
    assert (kept.prompt_key, kept.prompt_version, kept.variant) == ("canvas.generate", 3, "e:b")  # fmt: skip
    assert (kept.subject, kept.requested_at) == (-5, row.created_at)


async def test_feedback__again__replaces_what_was_said(
    indoors: World, gateway: Runtime
) -> None:
    row = usage(indoors)
    await say(indoors, gateway, request_id=str(row.pk), score=1, comment="Good")
    first = feedback(indoors, row)
    answer = await say(indoors, gateway, request_id=str(row.pk), score=-0.5)
    assert answer.status == 200
    second = feedback(indoors, row)
    assert (second.score, second.comment) == (-0.5, "")
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"score": 1}, "request_id"),
        ({"request_id": "x", "score": 1}, "request_id"),
        ({"request_id": 7, "score": 1}, "request_id"),
        ({}, "score"),
        ({"score": "1"}, "score"),
        ({"score": True}, "score"),
        ({"score": 1.01}, "score"),
        ({"score": -2}, "score"),
        ({"score": None}, "score"),
        ({"score": 0, "comment": 1}, "comment"),
        ({"score": 0, "comment": "x" * 2001}, "comment"),
        ({"score": 0, "comment": "a\0b"}, "comment"),
        ({"score": 0, "rating": 1}, "rating"),
    ],
)
async def test_feedback__wrong_body__is_refused_by_name(
    indoors: World, gateway: Runtime, body: dict[str, Any], param: str
) -> None:
    if param != "request_id":
        body = {"request_id": str(uuid7()), **body}
    answer = await say(indoors, gateway, **body)
    assert answer.status == 400
    assert answer.error["param"] == param
    assert answer.error["type"] == "invalid_request_error"


async def test_feedback__longest_comment_and_null__are_taken(
    indoors: World, gateway: Runtime
) -> None:
    row = usage(indoors)
    for comment in ("x" * 2000, None):
        answer = await say(
            indoors, gateway, request_id=str(row.pk), score=0, comment=comment
        )
        assert answer.json["comment"] == (comment or "")


async def test_feedback__unknown_request__is_not_found(
    indoors: World, gateway: Runtime
) -> None:
    answer = await say(indoors, gateway, request_id=str(uuid7()), score=1)
    assert (answer.status, answer.error["code"]) == (404, "request_not_found")


async def test_feedback__of_somebody_else__is_not_found(
    indoors: World, gateway: Runtime
) -> None:
    other = indoors.db(make_usage)
    answer = await say(indoors, gateway, request_id=str(other.pk), score=1)
    assert answer.status == 404
    assert not indoors.db(Feedback.objects.filter(pk=other.pk).exists)


async def test_feedback__of_a_user_it_acts_for__is_kept(
    indoors: World, gateway: Runtime
) -> None:
    team = indoors.db(make_team)
    backend, user = (indoors.db(make_customer, team=team) for _ in range(2))
    stranger = indoors.db(make_customer, team=indoors.db(make_team))
    _, key = indoors.db(make_api_key, backend, scopes=["llm", "act_as"])
    _, plain = indoors.db(make_api_key, backend)
    mine = indoors.db(make_usage, user)
    other = indoors.db(make_usage, stranger)
    asked = {"request_id": str(mine.pk), "score": 1}
    assert (await say(indoors, gateway, plain, **asked)).status == 404
    assert (await say(indoors, gateway, key, **asked)).status == 200
    asked = {"request_id": str(other.pk), "score": 1}
    assert (await say(indoors, gateway, key, **asked)).status == 404


async def test_feedback__key_without_a_team__rates_only_for_users_without_keys(
    indoors: World, gateway: Runtime
) -> None:
    backend, user, tenant = (indoors.db(make_customer) for _ in range(3))
    _, key = indoors.db(make_api_key, backend, scopes=["llm", "act_as"])
    indoors.db(make_api_key, tenant)
    mine, other = indoors.db(make_usage, user), indoors.db(make_usage, tenant)
    for row, status in ((mine, 200), (other, 404)):
        asked = {"request_id": str(row.pk), "score": 1}
        assert (await say(indoors, gateway, key, **asked)).status == status


async def test_feedback__answer_still_under_way__is_told_to_wait(
    indoors: World, gateway: Runtime
) -> None:
    held = indoors.db(make_reservation, customer_id=indoors.customer.pk)
    theirs = indoors.db(make_reservation)
    answer = await say(indoors, gateway, request_id=str(held.pk), score=1)
    assert (answer.status, answer.headers["retry-after"]) == (409, "1")
    assert answer.error["code"] == "request_in_progress"
    answer = await say(indoors, gateway, request_id=str(theirs.pk), score=1)
    assert answer.status == 404
    indoors.db(held.delete)
    indoors.db(theirs.delete)


async def test_feedback__of_a_correction__is_not_found(
    indoors: World, gateway: Runtime
) -> None:
    row = usage(indoors)
    correction = usage(indoors, corrects=row.pk, status="correction")
    answer = await say(indoors, gateway, request_id=str(correction.pk), score=1)
    assert answer.status == 404


async def test_feedback__no_key_or_a_revoked_one__is_refused(
    indoors: World, gateway: Runtime
) -> None:
    body = orjson.dumps({"request_id": str(uuid7()), "score": 1})
    answer = await Exchange(gateway, PATH, body).run()
    assert (answer.status, answer.error["code"]) == (401, "missing_api_key")
    _, revoked = indoors.db(make_api_key, indoors.customer, revoked=True)
    row = usage(indoors)
    answer = await say(indoors, gateway, revoked, request_id=str(row.pk), score=1)
    assert answer.status == 401


async def test_feedback__database_fails__is_told_to_try_again(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = usage(indoors)

    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(type(Feedback.objects.all()), "bulk_create", away)
    answer = await say(indoors, gateway, request_id=str(row.pk), score=1)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


async def test_feedback__another_method__is_refused(
    indoors: World, gateway: Runtime
) -> None:
    answer = await Exchange(gateway, PATH, method="GET", key=indoors.key).run()
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_feedback__of_a_real_answer__over_http(world: World) -> None:
    served = world.serve("ok")
    answer = world.chat(served.model)
    said = world.post(PATH, request_id=request_id(answer), score=0.5, comment="ok")
    assert said.status == 200
    kept = world.db(Feedback.objects.get, pk=request_id(answer))
    assert (kept.score, kept.model, kept.prompt_key) == (0.5, served.model, "")
