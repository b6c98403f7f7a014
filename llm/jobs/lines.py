"""Reads the lines of a batch, as JSONL, with memory for one line at a time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from llm.jobs.types import PATHS
from llm.models.job import LONGEST_CUSTOM_ID
from llm.request import strict_json
from valuecanvas.core.errors import InvalidRequest

# More faults of one batch are not told.
MOST_FAULTS = 50
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A line that can be run. Lines count from 1, blank ones too."""

    number: int
    custom_id: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why a line cannot be run, with OpenAI's code; of the whole file without a line."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None

    def document(self) -> dict[str, Any]:
        return asdict(self)


class LineReader:
    """Reads the requests of one batch to `endpoint`, and checks them.

    `short`: lines may leave out `method` and `url`, as our own API allows.
    """

    def __init__(self, endpoint: str, *, short: bool = False) -> None:
        self._url = PATHS[endpoint]
        self._implied = {"method": "POST", "url": self._url} if short else {}
        self._custom_ids: set[str] = set()

    def read(self, chunks: Iterable[bytes]) -> Iterator[BatchLine | LineFault]:
        """What each line asks for, or its fault; ends after too many lines."""
        count = 0
        for number, raw in split_lines(chunks, settings.LLM_MAX_BODY_BYTES):
            if raw is not None and not raw.strip():
                continue
            count += 1
            if count > settings.JOBS_BATCH_LINES:
                yield LineFault(
                    "too_many_tasks",
                    f"A batch has at most {settings.JOBS_BATCH_LINES} lines.",
                    number,
                )
                return
            yield self._check(number, raw)
        if not count:
            yield LineFault("empty_file", "The file has no lines.")

    def _check(self, number: int, raw: bytes | None) -> BatchLine | LineFault:
        if raw is None:
            most = settings.LLM_MAX_BODY_BYTES
            message = f"A line has at most {most} bytes."
            return LineFault("request_too_large", message, number)
        try:
            given = strict_json.parse(raw)
        except InvalidRequest as error:
            message = error.message.replace("The body", "This line")
            return LineFault("invalid_json_line", message, number)
        try:
            return self._line(number, given)
        except InvalidRequest as error:
            return LineFault(str(error.code), error.message, number, error.param)

    def _line(self, number: int, given: Mapping[str, Any]) -> BatchLine:
        """Raises InvalidRequest."""
        given = {**self._implied, **given}
        for name in ("custom_id", "method", "url", "body"):
            if given.get(name) is None:
                raise InvalidRequest(
                    f"Missing required parameter: '{name}'.",
                    param=name,
                    code="missing_required_parameter",
                )
        if given["method"] != "POST":
            raise InvalidRequest(
                "'method' must be 'POST'.", param="method", code="invalid_method"
            )
        if given["url"] != self._url:
            raise InvalidRequest(
                f"'url' must be the endpoint of the batch, '{self._url}'.",
                param="url",
                code="url_mismatch",
            )
        custom_id = self._check_custom_id(given["custom_id"])
        return BatchLine(number, custom_id, check_body(given["body"]))

    def _check_custom_id(self, value: object) -> str:
        """Raises InvalidRequest."""
        valid = isinstance(value, str) and 1 <= len(value) <= LONGEST_CUSTOM_ID
        if not isinstance(value, str) or not valid or not value.isprintable():
            raise InvalidRequest(
                f"'custom_id' is a text of 1 to {LONGEST_CUSTOM_ID} characters, without"
                " control characters.",
                param="custom_id",
                code="invalid_value",
            )
        if value in self._custom_ids:
            raise InvalidRequest(
                f"An earlier line has the custom_id '{value}' too.",
                param="custom_id",
                code="duplicate_custom_id",
            )
        self._custom_ids.add(value)
        return value


def check_body(body: object) -> dict[str, Any]:
    """The body of a line's request. Raises InvalidRequest."""
    if not isinstance(body, dict):
        raise InvalidRequest(
            "'body' must be a JSON object.", param="body", code="invalid_type"
        )
    if body.get("stream"):
        raise InvalidRequest(
            "The answers of a batch are whole: leave out 'stream'.",
            param="body.stream",
            code="unsupported_parameter",
        )
    return body


def split_lines(
    chunks: Iterable[bytes], most: int
) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number from 1; None for a line of more than `most` bytes."""
    number, rest, too_long = 1, bytearray(), False
    for chunk in chunks:
        *ended, last = chunk.split(b"\n")
        for piece in ended:
            rest += piece
            yield number, _line_bytes(number, rest, too_long or len(rest) > most)
            number, too_long = number + 1, False
            rest.clear()
        rest += last
        if len(rest) > most:
            too_long = True
            rest.clear()
    if rest or too_long:
        yield number, _line_bytes(number, rest, too_long)


def _line_bytes(number: int, line: bytearray, too_long: bool) -> bytes | None:
    if too_long:
        return None
    raw = bytes(line)
    return raw.removeprefix(_BOM) if number == 1 else raw
