"""GET /api/llm/callbacks: a customer's callback URLs, and the secrets that sign."""

import uuid
from typing import Any

import orjson
import pytest
from django.utils import timezone

from llm.jobs.callbacks import register_callback
from llm.models import Job, JobState
from llm.runtime import Runtime
from tests.live.inside import Exchange
from tests.live.world import Answer, World
from tests.llm.jobs.job_rows import make_job
from valuecanvas.core.models import WebhookEndpoint
from valuecanvas.core.webhooks.outbox import queue

pytestmark = pytest.mark.live
PATH = "/api/llm/callbacks"
URL = "https://hook.example/jobs"


async def call(
    gateway: Runtime, key: str, path: str = "", *, method: str = "GET"
) -> Answer:
    return await Exchange(gateway, PATH + path, method=method, key=key).run()


async def listed(gateway: Runtime, key: str) -> list[dict[str, Any]]:
    answer = await call(gateway, key)
    assert answer.status == 200
    found: list[dict[str, Any]] = answer.json["data"]
    return found


def register(world: World, url: str = URL) -> WebhookEndpoint:
    owner = world.customer.pk
    world.db(register_callback, owner, url)
    return world.db(WebhookEndpoint.objects.get, owner=f"customer:{owner}", url=url)


async def test_callbacks__of_a_customer__are_listed_with_their_secrets(
    indoors: World, gateway: Runtime
) -> None:
    assert await listed(gateway, indoors.key) == []
    row = register(indoors)
    answer = await call(gateway, indoors.key)
    assert answer.headers["cache-control"] == "no-store"
    [found] = answer.json["data"]
    assert found.pop("createdAt").endswith("Z")
    assert found == {
        "id": str(row.pk),
        "object": "callback",
        "url": URL,
        "secret": row.open_secret(),
        "oldSecretUntil": None,
        "state": "enabled",
        "disabledReason": None,
        "lastFailure": None,
    }


async def test_callbacks__submitted_with_a_job__have_a_secret_before_it_has_ended(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok")
    message = {"role": "user", "content": "hello"}
    sent = {
        "type": "completion",
        "body": {"model": served.model, "messages": [message]},
        "callbackUrl": URL,
    }
    body = orjson.dumps(sent)
    answer = await Exchange(gateway, "/api/llm/jobs", body, key=indoors.key).run()
    assert answer.status == 202
    [found] = await listed(gateway, indoors.key)
    assert (found["url"], found["secret"][:6]) == (URL, "whsec_")


async def test_callbacks__failing_and_disabled__say_why(
    indoors: World, gateway: Runtime
) -> None:
    row = register(indoors)
    now = timezone.now()
    rows = WebhookEndpoint.objects.filter(pk=row.pk)
    failure = {"failing_since": now, "last_failed_at": now, "last_error": "It answered 500."}  # fmt: skip
    indoors.db(rows.update, **failure)
    [found] = await listed(gateway, indoors.key)
    assert found["state"] == "failing"
    assert found["lastFailure"]["message"] == "It answered 500."
    indoors.db(rows.update, disabled_at=now, disabled_reason="It answered 410.")
    [found] = await listed(gateway, indoors.key)
    assert (found["state"], found["disabledReason"]) == ("disabled", "It answered 410.")


async def test_rotate__own_callback__has_a_new_secret_and_the_old_one_for_a_day(
    indoors: World, gateway: Runtime
) -> None:
    row = register(indoors)
    answer = await call(gateway, indoors.key, f"/{row.pk}/rotate", method="POST")
    assert answer.status == 200
    assert answer.json["secret"] != row.open_secret()
    assert answer.json["oldSecretUntil"] is not None
    assert await listed(gateway, indoors.key) == [answer.json]
    now = indoors.db(WebhookEndpoint.objects.get, pk=row.pk)
    assert now.open_secrets(timezone.now()) == [answer.json["secret"], row.open_secret()]  # fmt: skip


async def test_rotate__secret_that_field_key_does_not_open__mends_it(
    indoors: World, gateway: Runtime
) -> None:
    row = register(indoors)
    rows = WebhookEndpoint.objects.filter(pk=row.pk)
    indoors.db(rows.update, secret_sealed=bytes(40))
    assert (await listed(gateway, indoors.key))[0]["secret"] is None
    answer = await call(gateway, indoors.key, f"/{row.pk}/rotate", method="POST")
    assert answer.json["secret"].startswith("whsec_")


async def test_delete__own_callback__is_gone_with_what_waits(
    indoors: World, gateway: Runtime
) -> None:
    row = register(indoors)
    indoors.db(queue, row.owner, URL, "job.succeeded", {})
    answer = await call(gateway, indoors.key, f"/{row.pk}", method="DELETE")
    assert (answer.status, answer.body) == (204, b"")
    assert await listed(gateway, indoors.key) == []


async def test_delete__used_by_an_open_job__is_refused_until_that_has_ended(
    indoors: World, gateway: Runtime
) -> None:
    row = register(indoors)
    job = indoors.db(make_job, indoors.customer, callback_url=URL)
    answer = await call(gateway, indoors.key, f"/{row.pk}", method="DELETE")
    assert (answer.status, answer.error["code"]) == (409, "callback_in_use")
    indoors.db(Job.objects.filter(pk=job.pk).update, state=JobState.CANCELLED)
    answer = await call(gateway, indoors.key, f"/{row.pk}", method="DELETE")
    assert answer.status == 204


@pytest.mark.parametrize(("end", "method"), [("/rotate", "POST"), ("", "DELETE")])
async def test_callbacks__of_somebody_else__are_not_found_and_not_listed(
    indoors: World, gateway: Runtime, end: str, method: str
) -> None:
    row = register(indoors)
    _, stranger = indoors.new_customer()
    assert await listed(gateway, stranger) == []
    for key in (str(row.pk), str(uuid.uuid4()), "x"):
        answer = await call(gateway, stranger, f"/{key}{end}", method=method)
        assert (answer.status, answer.error["code"]) == (404, "callback_not_found")
    [mine] = await listed(gateway, indoors.key)
    assert mine["secret"] == row.open_secret()


async def test_callbacks__key_without_the_scope_or_none__are_refused(
    indoors: World, gateway: Runtime
) -> None:
    key = indoors.new_key(scopes=["flags:evaluate"])
    answer = await call(gateway, key)
    assert (answer.status, answer.error["code"]) == (403, "missing_scope")
    assert (await call(gateway, "")).status == 401
