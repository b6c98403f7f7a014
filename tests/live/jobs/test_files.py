"""Files after their upload: listed, read, deleted, and seen by their owner alone."""

from typing import Any

import orjson
import pytest

from llm.jobs import batches, expansion, files
from llm.models import Job, JobBatch, JobFile
from tests.live.jobs.uploading import CHAT, FilesApi, line
from tests.live.world import Answer
from tests.llm.jobs.rows import answer

pytestmark = pytest.mark.live


async def ids(api: FilesApi, query: str = "") -> list[str]:
    answer = await api.get(f"/v1/files{query}")
    assert answer.status == 200, answer.body
    return [one["id"] for one in answer.json["data"]]


async def test_list__of_files__is_newest_first_in_pages_and_filtered(
    files_api: FilesApi,
) -> None:
    made = [await files_api.add(b"x") for _ in range(5)]
    assert await ids(files_api) == made[::-1]
    assert await ids(files_api, "?order=asc") == made
    first = (await files_api.get("/v1/files?limit=2")).json
    assert (first["first_id"], first["last_id"]) == (made[4], made[3])
    assert first["has_more"]
    assert await ids(files_api, f"?limit=2&after={made[3]}") == [made[2], made[1]]
    assert await ids(files_api, f"?order=asc&after={made[3]}") == [made[4]]
    last = (await files_api.get(f"/v1/files?limit=2&after={made[1]}")).json
    assert [one["id"] for one in last["data"]] == [made[0]]
    assert not last["has_more"]
    assert await ids(files_api, "?purpose=batch") == made[::-1]
    assert await ids(files_api, "?purpose=vision") == []
    empty = (
        await files_api.get("/v1/files", key=files_api.world.new_customer()[1])
    ).json
    assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/files?limit=0", "limit"),
        ("/v1/files?limit=10001", "limit"),
        ("/v1/files?order=up", "order"),
        ("/v1/files?colour=red", "colour"),
        ("/v1/batches?limit=101", "limit"),
        ("/v1/batches?order=asc", "order"),
        ("/api/llm/batches?limit=x", "limit"),
        ("/api/llm/batches?cursor=x", "cursor"),
        ("/api/llm/batches?after=x", "after"),
    ],
)
async def test_list__with_a_wrong_query__is_refused(
    files_api: FilesApi, path: str, param: str
) -> None:
    answer = await files_api.get(path)
    assert (answer.status, answer.error["param"]) == (400, param)


async def test_file__as_openai_shows_it__has_all_its_fields(
    files_api: FilesApi,
) -> None:
    file_id = await files_api.add(b"{}\n", b"night.jsonl")
    shown = (await files_api.get(f"/v1/files/{file_id}")).json
    row = files_api.world.db(JobFile.objects.get, pk=files.parse_id(file_id))
    assert shown == {
        "id": file_id,
        "object": "file",
        "bytes": 3,
        "created_at": int(row.created_at.timestamp()),
        "expires_at": int(row.created_at.timestamp()) + 30 * 86_400,
        "filename": "night.jsonl",
        "purpose": "batch",
        "status": "processed",
    }


async def test_delete__of_a_file__is_final(files_api: FilesApi) -> None:
    file_id = await files_api.add(b"x")
    made = files_api.exchange(f"/v1/files/{file_id}", method="DELETE")
    gone = await made.run()
    assert gone.json == {"id": file_id, "object": "file", "deleted": True}
    again = await files_api.exchange(f"/v1/files/{file_id}", method="DELETE").run()
    assert again.status == 404
    assert (await files_api.get(f"/v1/files/{file_id}/content")).status == 404
    assert files_api.rows() == (0, 0)


async def test_delete__of_a_file_in_use_or_of_an_output__says_why_not(
    files_api: FilesApi,
) -> None:
    batch = await files_api.add_batch(line("a", "m"))
    input_id = batch["input_file_id"]
    used = await files_api.exchange(f"/v1/files/{input_id}", method="DELETE").run()
    assert (used.status, used.error["code"]) == (409, "file_in_use")
    assert batch["id"] in used.error["message"]
    output_id = await answered(files_api, batch)
    kept = await files_api.exchange(f"/v1/files/{output_id}", method="DELETE").run()
    assert (kept.status, kept.error["code"]) == (409, "file_in_use")


async def answered(api: FilesApi, batch: dict[str, Any]) -> str:
    """Answer the only line of a batch; the id of its output."""
    pk = api.batch(batch["id"]).pk

    def work() -> None:
        expansion.expand_by_id(pk)
        answer(Job.objects.get(batch=pk))
        batches.refresh([pk])

    api.world.db(work)
    shown = (await api.get(f"/v1/batches/{batch['id']}")).json
    return str(shown["output_file_id"])


async def test_output__of_a_batch__is_a_file_with_its_exact_size(
    files_api: FilesApi,
) -> None:
    batch = await files_api.add_batch(line('quote " ü', "m"))
    output_id = await answered(files_api, batch)
    shown = (await files_api.get(f"/v1/files/{output_id}")).json
    content = (await files_api.get(f"/v1/files/{output_id}/content")).body
    assert shown["bytes"] == len(content) > 0
    assert (shown["purpose"], shown["object"]) == ("batch_output", "file")
    assert shown["filename"] == f"{batch['id']}_output.jsonl"
    assert orjson.loads(content)["custom_id"] == 'quote " ü'
    # Nothing failed.
    errors_id = output_id.replace("-output", "-errors")
    for path in (f"/v1/files/{errors_id}", f"/v1/files/{errors_id}/content"):
        assert (await files_api.get(path)).status == 404


async def test_output__of_a_batch_that_runs__is_not_there_yet(
    files_api: FilesApi,
) -> None:
    batch = await files_api.add_batch(line("a", "m"), line("b", "m"))
    assert (batch["output_file_id"], batch["error_file_id"]) == (None, None)
    output_id = f"file-{files_api.batch(batch['id']).pk.hex}-output"
    assert (await files_api.get(f"/v1/files/{output_id}/content")).status == 404


@pytest.mark.parametrize(
    "name", ["file-", "file-x", "file-" + "0" * 32, "a", "file-" + "0" * 32 + "-output", "%00"]
)  # fmt: skip
async def test_file__of_an_id_that_nobody_gave__is_404(
    files_api: FilesApi, name: str
) -> None:
    for path in (f"/v1/files/{name}", f"/v1/files/{name}/content"):
        assert (await files_api.get(path)).status == 404


# Each URL of files and batches, with a method; {file}, {output}, {batch} and {pk} are ids.
SCOPED = [
    ("GET", "/v1/files/{file}"),
    ("GET", "/v1/files/{file}/content"),
    ("DELETE", "/v1/files/{file}"),
    ("GET", "/v1/files/{output}"),
    ("GET", "/v1/files/{output}/content"),
    ("DELETE", "/v1/files/{output}"),
    ("GET", "/v1/batches/{batch}"),
    ("POST", "/v1/batches/{batch}/cancel"),
    ("GET", "/api/llm/batches/{pk}"),
    ("GET", "/api/llm/batches/{pk}/results"),
    ("GET", "/api/llm/batches/{pk}/results?failed=true"),
    ("POST", "/api/llm/batches/{pk}/cancel"),
]


async def test_everything__with_the_key_of_another_customer__is_404(
    files_api: FilesApi,
) -> None:
    batch = await files_api.add_batch(line("a", "m"))
    names = {
        "file": batch["input_file_id"],
        "output": await answered(files_api, batch),
        "batch": batch["id"],
        "pk": str(files_api.batch(batch["id"]).pk),
    }
    running = await files_api.add_batch(line("a", "m"))
    names |= {"batch": running["id"]}
    foreign = files_api.world.new_customer()[1]
    for method, path in SCOPED:
        answer = await send(files_api, method, path.format(**names), foreign)
        assert answer.status == 404, (method, path, answer.body)
    create = await files_api.post(
        "/v1/batches",
        key=foreign,
        input_file_id=names["file"],
        endpoint=CHAT,
        completion_window="24h",
    )
    assert create.status == 404
    for path in ("/v1/files", "/v1/batches", "/api/llm/batches"):
        assert (await files_api.get(path, key=foreign)).json["data"] == []
    # Their owner sees them all; nothing was cancelled or deleted.
    for method, path in SCOPED:
        if method == "GET":
            answer = await send(files_api, method, path.format(**names), None)
            assert answer.status == 200, path
    assert files_api.batch(running["id"]).state == "validating"
    states = files_api.world.db(
        lambda: list(
            JobBatch.objects.filter(
                customer_id=files_api.world.customer.pk
            ).values_list("state", flat=True)
        )
    )
    assert sorted(states) == ["completed", "validating"]


async def send(api: FilesApi, method: str, path: str, key: str | None) -> Answer:
    return await api.exchange(path, method=method, key=key).run()


@pytest.mark.parametrize(("method", "path"), [*SCOPED, ("POST", "/v1/files"), ("POST", "/v1/batches"), ("POST", "/api/llm/batches"), ("GET", "/v1/files"), ("GET", "/v1/batches"), ("GET", "/api/llm/batches")])  # fmt: skip
async def test_everything__without_a_key__is_401(
    files_api: FilesApi, method: str, path: str
) -> None:
    names = dict.fromkeys(("file", "output", "batch", "pk"), "x")
    answer = await send(files_api, method, path.format(**names), "")
    # A body that is no JSON is told before the key is looked at.
    assert answer.status in (401, 400 if path == "/v1/batches" else 401)


async def test_sealed_lines__of_our_own_api__are_no_file_of_the_customer(
    files_api: FilesApi,
) -> None:
    made = await files_api.post(
        "/api/llm/batches",
        endpoint=CHAT,
        requests=[{"custom_id": "a", "body": {"model": "m"}}],
    )
    assert made.status == 202
    file_id = files.render_id(files_api.batch(made.json["id"]).file_id)
    assert await ids(files_api) == []
    assert (await files_api.get(f"/v1/files/{file_id}")).status == 404
