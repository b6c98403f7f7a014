"""Takes files that are too large for memory: spooled to disk, then stored in parts."""

import asyncio
import datetime as dt
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.core.handlers.asgi import ASGIRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from llm.jobs import files
from llm.jobs.files import PART_BYTES
from llm.jobs.views.base import query
from llm.models import JobFile
from llm.views.base import body_stream, runtime
from valuecanvas.core.errors import BodyTooLarge, InvalidRequest, Unavailable

# Of a multipart body, besides the file.
FORM_BYTES = 65_536
LONGEST_NAME = 255
LEAST_LIFETIME_S = 3600


class Spool:
    """A file on disk without a name, for an upload: with the process, it is gone."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = 0
        self._digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self.size += len(chunk)
        self._digest.update(chunk)

    def digest(self) -> str:
        return self._digest.hexdigest()


@contextmanager
def open_spool(request: ASGIRequest) -> Iterator[Spool]:
    """A place for an upload. Raises Unavailable if there are too many, or no room."""
    limit = runtime(request).uploads
    limit.enter()
    try:
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        # Not in /tmp, which may be memory.
        with tempfile.TemporaryFile(dir=settings.VAR_DIR) as file:
            yield Spool(file)
    except OSError as error:
        raise Unavailable(
            "There is no room for uploads on this gateway's disk now."
        ) from error
    finally:
        limit.leave()


async def receive(request: ASGIRequest, spool: Spool, most: int) -> None:
    """Write the body to the spool. Raises BodyTooLarge, InvalidRequest, OSError."""
    held: list[bytes] = []
    size = 0
    async for chunk in body_stream(request).chunks(most):
        held.append(chunk)
        size += len(chunk)
        if size >= PART_BYTES:
            await asyncio.to_thread(spool.write, b"".join(held))
            held.clear()
            size = 0
    await asyncio.to_thread(spool.write, b"".join(held))
    spool.file.seek(0)


async def store(
    request: ASGIRequest,
    spool: Spool,
    file: JobFile,
    lifetime: dt.timedelta,
) -> JobFile:
    """Store what is in the spool as `file`; what fails leaves nothing."""
    number = 0
    try:
        while part := await asyncio.to_thread(spool.file.read, PART_BYTES):
            await query(request, files.add_part, file, number, part)
            number += 1
        return await query(request, files.finish_file, file, spool.size, lifetime)
    except BaseException:
        await query(request, files.discard_file, file)
        raise


@dataclass(frozen=True, slots=True)
class UploadForm:
    """The fields of an upload besides its content."""

    filename: str
    lifetime: dt.timedelta


def parse_form(meta: Mapping[str, Any], spool: Spool) -> UploadForm:
    """The form in the spool, which then has nothing but its file. Raises InvalidRequest.

    May take long: call it in a thread.
    """
    handler = _FileInPlace(spool)
    body: Any = spool.file  # Django's types ask for less than it needs
    try:
        parser = _UploadParser({**meta, "CONTENT_LENGTH": spool.size}, body, [handler])
        parser.check_end(spool)
        fields, _ = parser.parse()
    except (MultiPartParserError, SuspiciousOperation) as error:
        raise InvalidRequest(
            f"The body is not an upload as multipart/form-data: {error}",
            code="invalid_upload",
        ) from error
    form = _form(handler, {name: fields.getlist(name) for name in fields})
    spool.file.truncate(handler.size)
    spool.file.seek(0)
    spool.size = handler.size
    return form


class _UploadParser(MultiPartParser):
    """Django's, which by itself takes what was cut off, and corrects names."""

    def check_end(self, spool: Spool) -> None:
        """Raises MultiPartParserError if the last boundary is missing."""
        end = b"--%b--" % self._boundary  # type: ignore[attr-defined]
        spool.file.seek(max(0, spool.size - len(end) - 8))
        if not spool.file.read().rstrip(b"\r\n").endswith(end):
            raise MultiPartParserError("its end is missing")
        spool.file.seek(0)

    def sanitize_file_name(self, file_name: str) -> str | None:
        """Raises InvalidRequest."""
        if not file_name.isprintable() or len(file_name) > LONGEST_NAME:
            raise InvalidRequest(
                f"The file's name has at most {LONGEST_NAME} characters, and no control"
                " characters.",
                param="file",
            )
        found: str | None = super().sanitize_file_name(file_name)
        return found


class _FileInPlace(FileUploadHandler):
    """Moves the uploaded file to the beginning of the spool that it is read from.

    What is written over was read before, as a file follows its boundary and headers.
    """

    chunk_size = 65_536

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        self._spool = spool
        self.name = ""
        self.size = 0

    def new_file(self, field_name: str, file_name: str, *rest: Any) -> None:
        if field_name != "file" or self.name:
            raise InvalidRequest("Send one file, as 'file'.", param=field_name[:100])
        self.name = file_name

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        os.pwrite(self._spool.file.fileno(), raw_data, start)

    def file_complete(self, file_size: int) -> UploadedFile | None:
        self.size = file_size
        return None


def _form(handler: _FileInPlace, fields: Mapping[str, list[str]]) -> UploadForm:
    """Raises InvalidRequest, BodyTooLarge."""
    given = dict(fields)
    purpose, anchor, seconds = (
        _one(given, name)
        for name in ("purpose", "expires_after[anchor]", "expires_after[seconds]")
    )
    if given:
        name = next(iter(given))[:100]
        raise InvalidRequest(f"Unknown field '{name}'.", param=name)
    if purpose != files.PURPOSE:
        raise InvalidRequest(
            f"'purpose' must be '{files.PURPOSE}': other files have no use here.",
            param="purpose",
        )
    if not handler.name or not handler.size:
        raise InvalidRequest(
            "Send 'file', with a name, and not empty.", param="file", code="empty_file"
        )
    if handler.size > settings.FILES_MAX_BYTES:
        raise BodyTooLarge(f"A file has at most {settings.FILES_MAX_BYTES} bytes.")
    return UploadForm(handler.name, _lifetime(anchor, seconds))


def _one(given: dict[str, list[str]], name: str) -> str | None:
    """Take the field out of `given`. Raises InvalidRequest if it is there twice."""
    values = given.pop(name, [None])
    if len(values) > 1:
        raise InvalidRequest(f"'{name}' is given twice.", param=name)
    return values[0]


def _lifetime(anchor: str | None, seconds: str | None) -> dt.timedelta:
    longest = dt.timedelta(days=settings.FILES_KEEP_DAYS)
    if anchor is None and seconds is None:
        return longest
    most = int(longest.total_seconds())
    text = seconds or ""
    valid = text.isascii() and text.isdigit() and len(text) < 10
    if anchor != "created_at" or not valid or not LEAST_LIFETIME_S <= int(text) <= most:
        raise InvalidRequest(
            "'expires_after' has the anchor 'created_at', and from"
            f" {LEAST_LIFETIME_S} to {most} seconds.",
            param="expires_after",
        )
    return dt.timedelta(seconds=int(text))
