"""Batches as they are submitted: taken, or refused with what is wrong."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.utils import timezone
from pytest_django import Settings

from llm.jobs import batches, expansion
from llm.models import Job, JobBatch
from tests.live.jobs.uploading import CHAT, FilesApi, jsonl, line
from tests.live.world import Answer

pytestmark = pytest.mark.live

OURS = "/api/llm/batches"
NDJSON = "application/x-ndjson"
BODY = {"model": "m", "messages": []}


def request(custom_id: str, **fields: Any) -> dict[str, Any]:
    return {"custom_id": custom_id, "body": {**BODY, **fields}}


async def send_lines(
    api: FilesApi, body: bytes, query: str = "", kind: str = NDJSON, **headers: str
) -> Answer:
    path = f"{OURS}?endpoint={CHAT}{query}"
    made = api.exchange(path, body, method="POST", kind=kind)
    for name, value in headers.items():
        made.scope["headers"].append((name.replace("_", "-").encode(), value.encode()))
    return await made.run()


async def submit(api: FilesApi, *requests: Any, **options: Any) -> Answer:
    return await api.post(OURS, endpoint=CHAT, requests=list(requests), **options)


def rows_of(api: FilesApi) -> int:
    who = api.world.customer.pk
    return api.world.db(JobBatch.objects.filter(customer_id=who).count)


async def test_json__with_all_options__is_a_batch_with_them(
    files_api: FilesApi,
) -> None:
    deadline = timezone.now() + timedelta(hours=2)
    made = await submit(
        files_api,
        request("a"),
        request("b"),
        tags=["one", "two"],
        onLimit="fail",
        deadline=deadline.isoformat(),
        priority=9,
        metadata={"night": "1"},
        callbackUrl="https://example.com/hook",
    )
    assert made.status == 202, made.body
    shown = made.json
    row = files_api.batch(shown["id"])
    assert (await files_api.get(f"{OURS}/{shown['id']}")).json == shown
    for name, value in {
        "object": "batch", "endpoint": CHAT, "state": "validating", "progress": 0,
        "total": 2, "succeeded": 0, "failed": 0, "cancelled": 0, "costUsd": 0.0,
        "priority": 9, "tags": ["one", "two"], "metadata": {"night": "1"},
        "onLimit": "fail", "startedAt": None, "cancelledAt": None, "finishedAt": None,
        "errors": [],
    }.items():  # fmt: skip
        assert shown[name] == value, name
    assert row.deadline == deadline
    assert row.callback_url == "https://example.com/hook"
    assert row.key in files_api.world.key
    files_api.world.db(expansion.expand_by_id, row.pk)
    jobs = files_api.world.db(lambda: list(Job.objects.filter(batch=row)))
    assert {one.custom_id for one in jobs} == {"a", "b"}


@pytest.mark.parametrize("kind", [NDJSON, "application/jsonl"])
async def test_jsonl__with_options_in_the_query__is_the_same(
    files_api: FilesApi, kind: str
) -> None:
    query = '&tags=one&tags=two&onLimit=fail&priority=9&metadata={"night":"1"}'
    body = jsonl(request("a"), line("b", "m"))
    made = await send_lines(files_api, body, query, kind)
    assert made.status == 202, made.body
    shown = made.json
    assert (shown["total"], shown["tags"]) == (2, ["one", "two"])
    assert (shown["onLimit"], shown["priority"]) == ("fail", 9)
    assert shown["metadata"] == {"night": "1"}
    row = files_api.batch(shown["id"])
    assert row.deadline - row.created_at == pytest.approx(
        timedelta(hours=24), abs=timedelta(seconds=60)
    )


async def test_lines__at_fault__are_all_named_and_nothing_is_submitted(
    files_api: FilesApi,
) -> None:
    body = jsonl(request("a"), request("a"), request("c", stream=True), request("d"))
    refused = await send_lines(files_api, body)
    assert (refused.status, refused.error["code"]) == (400, "duplicate_custom_id")
    assert "Line 2" in refused.error["message"]
    assert [(one["line"], one["code"]) for one in refused.error["faults"]] == [
        (2, "duplicate_custom_id"),
        (3, "unsupported_parameter"),
    ]
    same = await submit(files_api, request("a"), request("a"))
    assert same.error["faults"][0]["line"] == 2
    assert rows_of(files_api) == 0
    assert files_api.rows() == (0, 0)
    assert files_api.is_idle()


async def test_lines__of_which_each_is_at_fault__name_fifty(
    files_api: FilesApi,
) -> None:
    refused = await send_lines(files_api, b"{}\n" * 60)
    assert len(refused.error["faults"]) == 50


BAD: list[tuple[dict[str, Any], str]] = [
    ({"endpoint": "/v1/images"}, "endpoint"),
    ({"endpoint": None}, "endpoint"),
    ({"requests": None}, "requests"),
    ({"requests": {}}, "requests"),
    ({"tags": "a"}, "tags"),
    ({"onLimit": "stop"}, "onLimit"),
    ({"priority": 10}, "priority"),
    ({"deadline": "2020-01-01T00:00:00Z"}, "deadline"),
    ({"deadline": "tomorrow"}, "deadline"),
    ({"metadata": {"a": 1}}, "metadata"),
    ({"metadata": {"a": "b\0"}}, "metadata"),
    ({"metadata": {"a" * 65: "b"}}, "metadata"),
    ({"metadata": {str(n): "b" for n in range(17)}}, "metadata"),
    ({"metadata": []}, "metadata"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("fields", "param"), BAD)
async def test_json__with_a_wrong_option__is_refused_with_its_name(
    files_api: FilesApi, fields: dict[str, Any], param: str
) -> None:
    asked = {"endpoint": CHAT, "requests": [request("a")], **fields}
    refused = await files_api.post(OURS, **asked)
    assert (refused.status, refused.error["param"]) == (400, param)
    assert rows_of(files_api) == 0


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("&priority=high", "priority"),
        ("&metadata=[", "metadata"),
        ("&priority=" + "9" * 5000, "priority"),
        ("&requests=1", "requests"),
    ],
)
async def test_jsonl__with_a_wrong_query__is_refused_with_its_name(
    files_api: FilesApi, query: str, param: str
) -> None:
    refused = await send_lines(files_api, jsonl(request("a")), query)
    assert (refused.status, refused.error["param"]) == (400, param)


async def test_body__of_another_type__is_415(files_api: FilesApi) -> None:
    refused = await send_lines(files_api, b"a,b", kind="text/csv")
    assert refused.status == 415


async def test_jsonl__beyond_its_bounds__is_413_or_429(
    files_api: FilesApi, settings: Settings
) -> None:
    settings.JOBS_OPEN_MAX = 1
    many = await send_lines(files_api, jsonl(request("a"), request("b")))
    assert (many.status, many.error["code"]) == (429, "too_many_jobs")
    settings.FILES_TOTAL_BYTES = 10
    full = await send_lines(files_api, jsonl(request("a")))
    assert (full.status, full.error["code"]) == (413, "file_storage_full")
    settings.FILES_MAX_BYTES = 10
    large = await send_lines(files_api, jsonl(request("a")))
    assert (large.status, large.error["code"]) == (413, "request_too_large")
    assert files_api.rows() == (0, 0)


async def test_submission__again_with_its_key__is_the_first_batch(
    files_api: FilesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = jsonl(request("a"))
    first = await send_lines(files_api, body, idempotency_key="k")
    again = await send_lines(files_api, body, idempotency_key="k")
    assert (first.status, again.json["id"]) == (202, first.json["id"])
    other = await send_lines(files_api, jsonl(request("b")), idempotency_key="k")
    assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
    # Both at the same moment: the file of the second one is not kept.
    monkeypatch.setattr(batches, "find_submitted", lambda owner, new: None)
    monkeypatch.setattr(
        batches,
        "create_batch",
        lambda owner, file, new: JobBatch.objects.get(pk=first.json["id"]),
    )
    last = await send_lines(files_api, body, idempotency_key="k")
    assert last.json["id"] == first.json["id"]
    assert files_api.rows() == (1, 1)


async def test_openai_batch__created_again_with_its_key__is_the_first(
    files_api: FilesApi,
) -> None:
    asked = {
        "input_file_id": await files_api.add(jsonl(line("a", "m"))),
        "endpoint": CHAT,
        "completion_window": "24h",
    }
    found = []
    for _ in range(2):
        made = files_api.exchange("/v1/batches", orjson.dumps(asked), method="POST")
        made.scope["headers"].append((b"idempotency-key", b"k"))
        found.append((await made.run()).json["id"])
    assert found[0] == found[1]


OPENAI_BAD: list[tuple[dict[str, Any], int, str | None]] = [
    ({"input_file_id": None}, 400, "input_file_id"),
    ({"input_file_id": "file-none"}, 404, "id"),
    ({"endpoint": "/v1/completions"}, 400, "endpoint"),
    ({"completion_window": "1h"}, 400, "completion_window"),
    ({"metadata": {"a": 1}}, 400, "metadata"),
    ({"output_expires_after": {}}, 400, "output_expires_after"),
]


@pytest.mark.parametrize(("fields", "status", "param"), OPENAI_BAD)
async def test_openai_batch__with_a_wrong_field__is_refused(
    files_api: FilesApi, fields: dict[str, Any], status: int, param: str
) -> None:
    asked = {
        "input_file_id": await files_api.add(b"x"),
        "endpoint": CHAT,
        "completion_window": "24h",
        **fields,
    }
    refused = await files_api.post("/v1/batches", **asked)
    assert (refused.status, refused.error["param"]) == (status, param)
