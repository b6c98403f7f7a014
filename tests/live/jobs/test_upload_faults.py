"""Uploads that do not end well: clients that leave, a full disk, too many at once."""

import asyncio

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from llm.admission.load_shedding import LoadSlot
from llm.jobs import files
from llm.jobs.views import uploads
from llm.models import JobFile
from llm.runtime import Runtime
from tests.live.jobs.uploading import (
    MULTIPART,
    PURPOSE,
    WHOLE,
    FilesApi,
    assert_nothing_left,
    file_part,
    form,
)
from tests.live.world import World
from valuecanvas.http import hot_body

pytestmark = pytest.mark.live

MIB = 1_048_576


async def test_uploads__at_once_beyond_the_room__are_not_both_taken(
    files_api: FilesApi, settings: Settings
) -> None:
    settings.FILES_TOTAL_BYTES = 1000
    body = form(PURPOSE, file_part(b"x" * 600))
    found = await asyncio.gather(*(files_api.upload(body) for _ in range(3)))
    assert sorted(one.status for one in found) == [200, 413, 413]
    assert files_api.rows() == (1, 1)


async def test_uploads__more_than_places__are_503_and_places_are_given_back(
    files_api: FilesApi,
) -> None:
    waiting = [
        files_api.exchange("/v1/files", [WHOLE[:50]], method="POST", kind=MULTIPART)
        for _ in range(9)
    ]
    for one in waiting:
        # The rest of the body does not come.
        one._parts.append(b"")
    tasks = []
    for one in waiting[:8]:
        one._parts.clear()
        tasks.append(one.start())
    while files_api.gateway.uploads._left:
        await asyncio.sleep(0.01)
    refused = await files_api.upload(WHOLE)
    assert (refused.status, refused.error["code"]) == (503, "overloaded")
    for one in waiting[:8]:
        one.leave()
    await asyncio.gather(*tasks)
    assert_nothing_left(files_api)
    assert (await files_api.upload(WHOLE)).status == 200


async def test_client__that_leaves_midway__leaves_nothing(files_api: FilesApi) -> None:
    made = files_api.exchange("/v1/files", [b""], method="POST", kind=MULTIPART)

    async def receive() -> dict[str, object]:
        if made._parts:
            made._parts.clear()
            return {"type": "http.request", "body": WHOLE[:-9], "more_body": True}
        return {"type": "http.disconnect"}

    made.receive = receive  # type: ignore[method-assign]
    await made.start()
    assert made.sent == []
    assert_nothing_left(files_api)


async def test_client__that_sends_too_slowly__is_refused_and_cut(
    files_api: FilesApi, settings: Settings
) -> None:
    settings.LLM_HEADER_TIMEOUT_S = 0.05
    made = files_api.exchange("/v1/files", [], method="POST", kind=MULTIPART)
    answer = await made.run()
    assert (answer.status, answer.error["code"]) == (400, "request_timeout")
    assert answer.headers["connection"] == "close"
    assert_nothing_left(files_api)


async def test_client__whose_body_is_large__has_more_time_for_each_megabyte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = [b" " * 700_000] * 5
    due: list[float] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": parts.pop(), "more_body": bool(parts)}

    def note(when: float) -> asyncio.Timeout:
        due.append(when)
        return asyncio.Timeout(when)

    monkeypatch.setattr("valuecanvas.http.hot_body.asyncio.timeout_at", note)
    stream = hot_body.BodyStream({"headers": []}, receive, LoadSlot())
    size = sum([len(chunk) async for chunk in stream.chunks(4_000_000)])
    wait_s = django_settings.LLM_HEADER_TIMEOUT_S
    # Before each part: 0, 0.7, 1.4, 2.1 and 2.8 million bytes have come.
    assert size == 3_500_000
    assert [one - due[0] for one in due] == pytest.approx(
        [0, 0, wait_s, 2 * wait_s, 2 * wait_s]
    )


async def test_disk__without_room__is_503_and_leaves_nothing(
    files_api: FilesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(spool: uploads.Spool, chunk: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads.Spool, "write", full)
    answer = await files_api.upload(WHOLE)
    assert answer.status == 503
    assert "no room" in answer.error["message"]
    assert_nothing_left(files_api)


async def test_storing__that_fails_midway__leaves_nothing(
    files_api: FilesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.add_part

    def fail(file: JobFile, number: int, plain: bytes) -> None:
        real(file, number, plain)
        if number == 1:
            raise RuntimeError("The process was interrupted.")

    monkeypatch.setattr(files, "add_part", fail)
    answer = await files_api.upload(form(PURPOSE, file_part(b"x" * 3 * MIB)))
    assert answer.status == 500
    assert_nothing_left(files_api)


async def test_file__whose_upload_goes_on__is_seen_by_nobody(
    indoors: World, gateway: Runtime, files_api: FilesApi
) -> None:
    file_id = await files_api.add(b"x")
    row = JobFile.objects.filter(pk=files.parse_id(file_id))
    indoors.db(row.update, size=0)
    assert (await files_api.get(f"/v1/files/{file_id}")).status == 404
    assert (await files_api.get("/v1/files")).json["data"] == []
