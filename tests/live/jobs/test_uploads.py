"""Uploads: what is taken, what is refused, and what is left behind of either."""

import pytest
from pytest_django import Settings

from billing.models import Scope
from llm.jobs import files
from llm.models import JobFile, JobFilePart
from tests.live.jobs.uploading import (
    BOUNDARY,
    MULTIPART,
    PURPOSE,
    WHOLE,
    FilesApi,
    assert_nothing_left,
    file_part,
    form,
    text_part,
)

pytestmark = pytest.mark.live

MIB = 1_048_576
LONG = b"a" * 200


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
