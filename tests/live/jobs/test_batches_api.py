"""Both APIs of batches: submitted, looked at, read early, cancelled."""

import asyncio
from typing import Any

import orjson
import pytest

from billing.models import Usage
from llm.jobs import expansion
from llm.models import Job, JobBatch
from llm.runtime import Runtime
from tests.live.jobs.conftest import working
from tests.live.jobs.uploading import CHAT, FilesApi, line
from tests.live.world import PATIENCE_S, Answer
from tests.llm.jobs.rows import answer

pytestmark = pytest.mark.live

OURS = "/api/llm/batches"
NDJSON = "application/x-ndjson"
BODY = {"model": "m", "messages": []}


def request(custom_id: str, **fields: Any) -> dict[str, Any]:
    return {"custom_id": custom_id, "body": {**BODY, **fields}}


async def submit(api: FilesApi, *requests: Any, **options: Any) -> Answer:
    return await api.post(OURS, endpoint=CHAT, requests=list(requests), **options)


async def wait(api: FilesApi, batch_id: str, done: Any) -> dict[str, Any]:
    """Our API's view of a batch, once it fulfils `done`."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            shown: dict[str, Any] = (await api.get(f"{OURS}/{batch_id}")).json
            if done(shown):
                return shown
            await asyncio.sleep(0.02)


async def test_lists__of_batches__come_in_pages(files_api: FilesApi) -> None:
    made = [(await submit(files_api, request("a"))).json["id"] for _ in range(3)]
    made.reverse()
    first = (await files_api.get(f"{OURS}?limit=2")).json
    assert [one["id"] for one in first["data"]] == made[:2]
    rest = (await files_api.get(f"{OURS}?cursor={first['nextCursor']}")).json
    assert ([one["id"] for one in rest["data"]], rest["nextCursor"]) == (made[2:], None)
    names = [f"batch_{one.replace('-', '')}" for one in made]
    page = (await files_api.get("/v1/batches?limit=2")).json
    assert [one["id"] for one in page["data"]] == names[:2]
    assert page["has_more"]
    after = (await files_api.get(f"/v1/batches?after={names[1]}")).json
    assert [one["id"] for one in after["data"]] == names[2:]
    files_api.world.db(expansion.expand_by_id, made[2])
    # The file of its lines is gone.
    shown = (await files_api.get(f"/v1/batches/{names[2]}")).json
    assert shown["input_file_id"] == ""
    assert (await files_api.get("/v1/batches?after=x")).status == 404


async def test_results__while_it_runs__are_those_so_far(files_api: FilesApi) -> None:
    made = (await submit(files_api, *(request(str(n)) for n in range(4)))).json
    pk = files_api.batch(made["id"]).pk

    def answer_two() -> None:
        expansion.expand_by_id(pk)
        for job in Job.objects.filter(batch=pk, line__in=(2, 3)):
            answer(job)

    files_api.world.db(answer_two)
    early = await files_api.get(f"{OURS}/{made['id']}/results")
    assert early.headers["content-type"] == NDJSON
    lines = [orjson.loads(one) for one in early.body.splitlines()]
    assert [one["custom_id"] for one in lines] == ["1", "2"]
    none = await files_api.get(f"{OURS}/{made['id']}/results?failed=true")
    assert (none.status, none.body) == (200, b"")
    for query in ("?failed=yes", "?wrong=1"):
        assert (
            await files_api.get(f"{OURS}/{made['id']}/results{query}")
        ).status == 400


async def test_cancel__of_a_batch_that_has_ended__is_409(files_api: FilesApi) -> None:
    batch = await files_api.add_batch(line("a", "m"))
    pk = files_api.batch(batch["id"]).pk
    first = await files_api.post(f"/v1/batches/{batch['id']}/cancel")
    again = await files_api.post(f"{OURS}/{pk}/cancel")
    assert (first.json["status"], again.json["state"]) == ("cancelled", "cancelled")
    assert first.json["cancelled_at"] == first.json["cancelling_at"] is not None
    files_api.world.db(JobBatch.objects.filter(pk=pk).update, state="completed")
    for path in (f"/v1/batches/{batch['id']}/cancel", f"{OURS}/{pk}/cancel"):
        refused = await files_api.post(path)
        assert (refused.status, refused.error["code"]) == (409, "batch_ended")


@pytest.mark.parametrize("behaviour", ["slow@1s", "slow@60s"])
async def test_batch__cancelled_half_way__stops_and_bills_exactly_what_ran(
    files_api: FilesApi, gateway: Runtime, behaviour: str
) -> None:
    world = files_api.world
    slow, fast = world.serve(behaviour).model, world.serve("ok").model
    models = [fast] * 10 + [slow] * 30
    lines = [
        request(str(n), model=model, messages=[{"role": "user", "content": f"Hi {n}"}])
        for n, model in enumerate(models)
    ]
    made = (await submit(files_api, *lines)).json
    world.db(expansion.expand_by_id, made["id"])
    async with working(gateway, slots=4):
        await wait(files_api, made["id"], lambda one: one["succeeded"] >= 10)
        cancelled = await files_api.post(f"{OURS}/{made['id']}/cancel")
        assert cancelled.json["state"] in ("cancelling", "cancelled")
        shown = await wait(files_api, made["id"], lambda one: one["finishedAt"])
        await asyncio.to_thread(world.eventually, lambda: not world.reserved_now())
    assert shown["state"] == "cancelled"
    assert shown["succeeded"] + shown["cancelled"] == 40
    assert shown["cancelled"] >= 4
    results = await files_api.get(f"{OURS}/{made['id']}/results")
    answered = [orjson.loads(one) for one in results.body.splitlines()]
    rows = world.db(lambda: list(Usage.objects.filter(customer_id=world.customer.pk)))
    billed = {str(row.pk) for row in rows if row.status == "ok"}
    assert {one["response"]["request_id"] for one in answered} == billed
    assert len(billed) == shown["succeeded"]
    cut = [row for row in rows if row.status != "ok"]
    assert {row.status for row in cut} <= {"client_gone"}
    assert len(cut) <= 4


async def test_status__polled_a_hundred_times__costs_nothing(
    files_api: FilesApi,
) -> None:
    batch = await files_api.add_batch(line("a", "m"))
    for _ in range(100):
        await files_api.get(f"/v1/batches/{batch['id']}")
    assert files_api.world.counter() == (0, 0, 0)
