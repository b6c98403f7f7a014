"""What providers seem to answer: whole responses that are made here."""

import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import orjson
from aiohttp.base_protocol import BaseProtocol
from multidict import CIMultiDict

from llm.upstream.http import ProviderResponse

_JSON = "application/json"
_EVENTS = "text/event-stream"
_HTML = (
    b"<!DOCTYPE html><html><head><title>Welcome</title></head>"
    b"<body><h1>It works!</h1></body></html>"
)
# An object with all that answers have, but of other types.
_WRONG = {"object": 1, "choices": "none", "output": "none", "data": "none", "type": 1}
_WHOLE = {
    "not_json": b"The answer is 42.",
    "truncated": b'{"id": "1", "object": "chat.completion", "choices": [{"index": 0, "mess',
    "wrong_shape": orjson.dumps(_WRONG),
}
# In streams each of them is an event, and the truncated one has no end.
_STREAMED = {
    "not_json": b"data: The answer is 42.\n\n",
    "truncated": b'data: {"id": "1", "object": "chat.completion.chunk", "choices": [{"ind',
    "wrong_shape": b"data: %b\n\n" % orjson.dumps(_WRONG),
}


@dataclass(frozen=True, slots=True)
class InjectedResponse:
    """A response that no provider sent; it is read like any other."""

    status: int
    headers: Mapping[str, str]
    content: aiohttp.StreamReader

    def release(self) -> None:
        """There is no connection."""

    def close(self) -> None:
        """There is no connection."""


@dataclass(frozen=True, slots=True)
class CutResponse:
    """A provider's response with another body."""

    response: ProviderResponse
    content: aiohttp.StreamReader

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers

    def release(self) -> None:
        self.response.release()

    def close(self) -> None:
        self.response.close()


def refuse(status: int, *, retry_after_s: int | None = None) -> InjectedResponse:
    """An error, as providers send it."""
    error = {"message": "The provider is failing now.", "type": "server_error"}
    sent = {"Content-Type": _JSON}
    if retry_after_s is not None:
        error = {"message": "Too many requests now.", "type": "rate_limit_error"}
        sent["Retry-After"] = str(retry_after_s)
    return _respond(status, sent, orjson.dumps({"error": error}))


def malform(form: str, *, streamed: bool) -> InjectedResponse:
    """A success that cannot be read, of one of the `MALFORMED_FORMS`."""
    if form == "html":
        return _respond(200, {"Content-Type": "text/html"}, _HTML)
    sent = {"Content-Type": _EVENTS if streamed else _JSON}
    if form == "compressed":
        return _respond(
            200, {**sent, "Content-Encoding": "gzip"}, gzip.compress(b"{}", mtime=0)
        )
    return _respond(200, sent, (_STREAMED if streamed else _WHOLE)[form])


def _respond(status: int, sent: dict[str, str], body: bytes) -> InjectedResponse:
    loop = asyncio.get_running_loop()
    content = aiohttp.StreamReader(BaseProtocol(loop), limit=2 * len(body), loop=loop)
    content.feed_data(body)
    content.feed_eof()
    return InjectedResponse(status, CIMultiDict(sent), content)
