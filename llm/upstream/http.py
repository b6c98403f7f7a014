"""Reads a provider's response; every failure becomes one exception."""

import asyncio
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import aiohttp
from django.conf import settings

from llm.providers.base import Verdict
from llm.providers.error_body import error_within, read_error
from llm.providers.redaction import redact_error
from llm.types import Candidate
from valuecanvas.core import failpoints

MOST_ERROR_BYTES = 65_536
ERROR_WITHIN_S = 5.0
MOST_RETRY_AFTER_S = float(settings.LLM_MAX_RETRY_AFTER_S)
DEFAULT_RETRY_AFTER_S = 1.0
# The statuses that gRPC's numbers stand for: some send these under 200.
_GRPC = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 12: 501, 13: 500,
         14: 503, 16: 401}  # fmt: skip
_STATUS = re.compile(r"[45][0-9][0-9]")


@dataclass(slots=True)
class Failed(Exception):
    """An attempt failed: nothing to deliver. `message` is ours and safe to show."""

    verdict: Verdict
    message: str
    status: int | None = None
    error: dict[str, Any] | None = None
    retry_after_s: float = 0.0
    # True if nothing can have reached the provider: the same one may be tried again.
    unsent: bool = False
    timeout: bool = False
    # Bytes of an answer that was cut short.
    received: int = 0
    # The chaos experiment that made it fail; '' if it failed by itself.
    injected_by: str = ""

    def blame(self, experiment: str) -> None:
        """Tell that a chaos experiment made it fail; '' says nothing."""
        if experiment:
            self.injected_by = experiment
            what = self.message.rstrip(".")
            self.message = f"{what} (injected by the chaos experiment '{experiment}')."

    def __str__(self) -> str:
        return self.message


class ProviderResponse(Protocol):
    """What is read of a provider's response: `aiohttp.ClientResponse` is one."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def content(self) -> aiohttp.StreamReader: ...

    def release(self) -> Any: ...

    def close(self) -> None: ...


async def check(response: ProviderResponse, candidate: Candidate) -> None:
    """Raises Failed unless the headers are a success."""
    if response.status != 200:
        raise await _refusal(response, candidate)
    if not is_plain(response):
        raise Failed(Verdict.FAILURE, "The provider sent a compressed reply.", 200)
    failpoints.hit("after_connect")


def release(response: ProviderResponse) -> None:
    """Release a response; its connection is reused only after a body read to its end."""
    if response.content.at_eof():
        response.release()
    else:
        response.close()


def in_band(candidate: Candidate, body: Any) -> Failed:
    """The failure for an error inside an answer of status 200."""
    error = _safe(candidate, error_within(body))
    status = next(
        filter(None, map(_status, (error.get("code"), error.get("status")))), 0
    )
    verdict = candidate.provider.kind.classify(status or 200, error)
    return Failed(
        verdict,
        "The provider sent an error in its answer.",
        status or 200,
        error,
        retry_after_s=DEFAULT_RETRY_AFTER_S,
    )


def _status(code: Any) -> int:
    """The HTTP status for a code within an error; 0: none."""
    if isinstance(code, int) and code in _GRPC:
        return _GRPC[code]
    return int(code) if _STATUS.fullmatch(str(code)[:4]) else 0


async def _refusal(response: ProviderResponse, candidate: Candidate) -> Failed:
    """The failure for a status other than 200."""
    status = response.status
    error = _safe(candidate, read_error(await _error_bytes(response)))
    verdict = candidate.provider.kind.classify(status, error)
    return Failed(
        verdict,
        f"The provider answered {status}.",
        status,
        error,
        retry_after_s=retry_after(response.headers.get("Retry-After")),
    )


def _safe(candidate: Candidate, error: dict[str, Any]) -> dict[str, Any]:
    return redact_error(error, candidate.provider.api_key)


async def _error_bytes(response: ProviderResponse) -> bytes:
    """The beginning of a refusal's body, as far as it comes; empty if compressed."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(ERROR_WITHIN_S):
            async for part in response.content.iter_any():
                parts.append(part)
                if sum(map(len, parts)) >= MOST_ERROR_BYTES:
                    break
    except (aiohttp.ClientError, OSError):
        pass
    return b"".join(parts)[:MOST_ERROR_BYTES] if is_plain(response) else b""


def is_plain(response: ProviderResponse) -> bool:
    """Whether the body is not compressed."""
    coding = response.headers.get("Content-Encoding", "")
    return coding.strip().lower() in ("", "identity")


async def read_whole(response: ProviderResponse, most: int) -> bytes:
    """The body. Raises Failed if it is larger than `most` or cut short."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in response.content.iter_any():
            size += len(part)
            if size > most:
                # A limit of ours, which another provider's answer may meet.
                raise Failed(
                    Verdict.UNUSABLE, "The provider's reply is too large.", 200
                )
            parts.append(part)
    except (aiohttp.ClientError, OSError) as error:
        raise Failed(
            Verdict.FAILURE, "The provider's reply was cut short.", 200, received=size
        ) from error
    return b"".join(parts)


def retry_after(value: str | None) -> float:
    """Seconds that Retry-After asks for: 0 to MOST_RETRY_AFTER_S; 1 where it makes no sense."""
    if not value:
        return DEFAULT_RETRY_AFTER_S
    try:
        wait = float(value)
    except ValueError:
        wait = _until(value)
    if not 0 <= wait < float("inf"):
        return DEFAULT_RETRY_AFTER_S
    return min(wait, MOST_RETRY_AFTER_S)


def _until(date: str) -> float:
    """Seconds until an HTTP date; -1 for a bad one."""
    try:
        when = parsedate_to_datetime(date)
        if when.tzinfo is None:
            when = when.replace(tzinfo=dt.UTC)
        return (when - dt.datetime.now(dt.UTC)).total_seconds()
    except (ValueError, OverflowError, TypeError, IndexError, AttributeError):
        return -1.0
