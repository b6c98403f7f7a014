"""Uploads: what is taken, what is refused, and what is left behind of either."""

import asyncio
import os
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from billing.models import Scope
from llm.admission.load_shedding import LoadSlot
from llm.jobs import files
from llm.jobs.views import uploads
from llm.models import JobFile, JobFilePart
from llm.runtime import Runtime
from tests.live.jobs.uploading import (
    BOUNDARY,
    MULTIPART,
    PURPOSE,
    FilesApi,
    file_part,
    form,
    text_part,
)
from tests.live.world import World
from valuecanvas.http import hot_body

pytestmark = pytest.mark.live

MIB = 1_048_576
LONG = b"a" * 200
WHOLE = form(PURPOSE, file_part())


def open_temporary_files() -> list[str]:
    """What this process has open in the folder of spools, without a name."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.endswith("(deleted)") and str(django_settings.VAR_DIR) in target:
            found.append(target)
    return found


def assert_nothing_left(api: FilesApi) -> None:
    assert api.rows() == (0, 0)
    assert api.is_idle()
    assert open_temporary_files() == []


BAD: dict[str, tuple[bytes, int, str]] = {
    "no purpose": (form(file_part()), 400, "purpose"),
    "another purpose": (form(text_part("purpose", "vision"), file_part()), 400, "purpose"),
    "two purposes": (form(PURPOSE, PURPOSE, file_part()), 400, "purpose"),
    "no file": (form(PURPOSE), 400, "file"),
    "a text as file": (form(PURPOSE, text_part("file", "{}")), 400, "file"),
    "no name": (form(PURPOSE, file_part(filename=b"")), 400, "file"),
    "only a folder": (form(PURPOSE, file_part(filename=b"a/..")), 400, "file"),
    "an empty file": (form(PURPOSE, file_part(b"")), 400, "file"),
    "two files": (form(PURPOSE, file_part(), file_part()), 400, "file"),
    "a file of another field": (form(PURPOSE, file_part(name=b"other")), 400, "other"),
    "a NUL in the name": (form(PURPOSE, file_part(filename=b"a\0b")), 400, "file"),
    "control characters": (form(PURPOSE, file_part(filename=b"a\x1bb")), 400, "file"),
    "a long name": (form(PURPOSE, file_part(filename=b"a" * 256)), 400, "file"),
    "a very long name": (form(PURPOSE, file_part(filename=b"a" * 10_000)), 400, ""),
    "an unknown field": (form(PURPOSE, text_part("model", "m"), file_part()), 400, "model"),
    "a bad anchor": (form(PURPOSE, text_part("expires_after[anchor]", "x"), file_part()), 400, "expires_after"),
    "an hour too little": (
        form(PURPOSE, text_part("expires_after[anchor]", "created_at"),
             text_part("expires_after[seconds]", "3599"), file_part()), 400, "expires_after",
    ),
    "cut off in the file": (WHOLE[:-25], 400, ""),
    "cut off before the end": (form(PURPOSE, file_part(), end=b""), 400, ""),
    "nothing": (b"", 400, ""),
    "no multipart": (b"purpose=batch&file=x", 400, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_upload__at_fault__is_a_clean_error_and_leaves_nothing(
    files_api: FilesApi, name: str
) -> None:
    body, status, param = BAD[name]
    answer = await files_api.upload(body)
    assert (answer.status, answer.error["param"] or "") == (status, param), answer.body
    assert_nothing_left(files_api)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "text/plain",
    ],
)
async def test_upload__of_another_type__is_refused(
    files_api: FilesApi, kind: str
) -> None:
    answer = await files_api.upload(WHOLE, kind=kind)
    assert (answer.status, answer.error["code"]) == (400, "invalid_upload")
    assert_nothing_left(files_api)


@pytest.mark.parametrize("name", ["in.jsonl", "größe.jsonl", "a b'.txt", "x" * 255])
async def test_upload__with_this_name__is_shown_with_it(
    files_api: FilesApi, name: str
) -> None:
    answer = await files_api.upload(form(file_part(filename=name.encode()), PURPOSE))
    assert answer.status == 200
    assert answer.json["filename"] == name


@pytest.mark.parametrize("cut", [1, 1000, 65_536])
async def test_upload__in_pieces__is_stored_byte_by_byte_and_encrypted(
    files_api: FilesApi, cut: int
) -> None:
    # More than a part, of bytes that a boundary may be looked for in.
    content = (b"\r\n--" + BOUNDARY[:5] + b"\n" + LONG) * (15 if cut == 1 else 10_000)
    size = len(content)
    body = form(PURPOSE, file_part(content))
    answer = await files_api.upload(
        [body[at : at + cut] for at in range(0, len(body), cut)]
    )
    assert answer.status == 200, answer.body
    file_id = answer.json["id"]
    assert answer.json["bytes"] == size
    found = await files_api.get(f"/v1/files/{file_id}/content")
    assert found.headers["content-length"] == str(size)
    assert found.body == content
    sealed = files_api.world.db(
        lambda: [
            bytes(part.sealed)
            for part in JobFilePart.objects.filter(file=files.parse_id(file_id))
        ]
    )
    assert len(sealed) == -(-size // MIB)
    assert not any(LONG in one for one in sealed)
    assert files_api.is_idle()


async def test_upload__that_expires_sooner__says_when(files_api: FilesApi) -> None:
    answer = await files_api.upload(
        form(
            PURPOSE,
            text_part("expires_after[anchor]", "created_at"),
            text_part("expires_after[seconds]", "7200"),
            file_part(),
        )
    )
    assert answer.json["expires_at"] - answer.json["created_at"] == 7200


async def test_upload__without_a_known_key__is_refused_before_its_body_is_read(
    files_api: FilesApi,
) -> None:
    for key in ("", "vc-unknown"):
        made = files_api.exchange(
            "/v1/files", [b"x" * MIB] * 5, method="POST", kind=MULTIPART, key=key
        )
        assert (await made.run()).status == 401
        assert len(made._parts) == 5
    assert_nothing_left(files_api)


async def test_upload__by_a_key_without_the_scope__is_403(files_api: FilesApi) -> None:
    key = files_api.world.new_key(scopes=[Scope.FLAGS_READ])
    assert (await files_api.upload(WHOLE, key=key)).status == 403
    assert_nothing_left(files_api)


async def test_upload__too_often_in_a_minute__is_429(
    files_api: FilesApi, settings: Settings
) -> None:
    settings.JOBS_CALLS_PER_MINUTE = 2
    found = [(await files_api.upload(WHOLE)).status for _ in range(3)]
    assert found == [200, 200, 429]


async def test_upload__larger_than_a_file_may_be__is_413(
    files_api: FilesApi, settings: Settings
) -> None:
    settings.FILES_MAX_BYTES = 1000
    fits = await files_api.upload(form(PURPOSE, file_part(b"x" * 1000)))
    assert fits.status == 200
    files_api.world.db(JobFile.objects.all().delete)
    large = await files_api.upload(form(PURPOSE, file_part(b"x" * 1001)))
    assert (large.status, large.error["code"]) == (413, "request_too_large")
    told = files_api.exchange("/v1/files", [b"x"] * 5, method="POST", kind=MULTIPART)
    told.scope["headers"].append((b"content-length", b"70000"))
    assert (await told.run()).status == 413
    assert len(told._parts) == 5
    flood = files_api.exchange(
        "/v1/files", [b"x" * 50_000] * 5, method="POST", kind=MULTIPART
    )
    assert (await flood.run()).status == 413
    assert len(flood._parts) == 3
    assert_nothing_left(files_api)


async def test_upload__without_room_for_it__is_413_and_told_before_and_after(
    files_api: FilesApi, settings: Settings
) -> None:
    settings.FILES_TOTAL_BYTES = 1000
    await files_api.add(b"x" * 600)
    after = await files_api.upload(form(PURPOSE, file_part(b"x" * 401)))
    assert (after.status, after.error["code"]) == (413, "file_storage_full")
    assert "600 are used" in after.error["message"]
    before = files_api.exchange("/v1/files", [b"x"] * 3, method="POST", kind=MULTIPART)
    before.scope["headers"].append((b"content-length", b"401"))
    assert (await before.run()).status == 413
    assert len(before._parts) == 3
    assert files_api.rows() == (1, 1)
    assert files_api.is_idle()
    other = files_api.world.new_customer()[1]
    assert (await files_api.upload(form(PURPOSE, file_part(b"x" * 900)), key=other)).status == 200  # fmt: skip


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
