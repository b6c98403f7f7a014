"""uvicorn's HTTP/1.1, with bounds for what a client sends outside of bodies.

valuecanvas/serve.py starts the server with it. uvicorn by itself waits for ever for a head, keeps a head of any size, takes the lines
behind a chunked body for headers, and takes the body of a request that offers an upgrade
for the next request.
"""

import asyncio

import structlog
from django.conf import settings
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from valuecanvas import request_head
from valuecanvas.core.errors import (
    GatewayError,
    HeadTooLarge,
    InvalidRequest,
    RequestTooLate,
)
from valuecanvas.hot_body import WHOLE

# Request line and headers of one request, as of uvicorn's other implementation (h11);
# and what may come beside the data of a chunked body: long extensions, trailers.
MOST_HEAD_BYTES = 65_536
# Between name and value, and at the end of a header's line.
LINE_BYTES = 4
# What a chunk's own line may have for nothing, and each byte of data besides.
CHUNK_LINE_BYTES, SHARE_OF_DATA = 16, 2
# Requests that were sent ahead of the answer to the one before.
MOST_WAITING = 16
log = structlog.get_logger("http")


class HttpProtocol(HttpToolsProtocol):
    """Closes a connection whose next request's head does not come in time, or to an end.

    Time (LLM_HEADER_TIMEOUT_S) runs from the connection on, and later from the first
    byte of a request; between two of them uvicorn's own keep-alive limit holds.
    """

    _timer: asyncio.TimerHandle | None = None
    # Bytes of a head that is not whole yet, or of a body beside its data.
    _size = 0
    # Bytes of the lines read of this head, or of the trailers of its body.
    _lines = 0
    _begun = _in_body = False
    # Why nothing more is read; told once the requests before it are answered.
    _refusal: GatewayError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._refusal is not None:
            return
        self._size += len(data)
        try:
            self._feed(data)
        except HttpParserError as error:
            self._refuse(_reason(error))
            return
        self._size = max(self._size, 0)
        if self._size > MOST_HEAD_BYTES:
            self._refuse(_too_large())
        elif (self._begun or self._size) and not self._in_body and self._timer is None:
            # There is something of a head, be it an empty line, and it is not whole.
            self._start()

    def on_message_begin(self) -> None:
        self._begun, self._lines = True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._lines += len(url)
        if self._lines > MOST_HEAD_BYTES:
            raise _too_large()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Written out, as it is called for each header of each request.
        self._lines += len(name) + len(value) + LINE_BYTES
        if self._lines > MOST_HEAD_BYTES:
            raise _too_large()
        # What comes behind a body was seen by nobody who let the request through.
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        parser = self.parser
        version = parser.get_http_version()
        request_head.check(parser.get_method(), version, self.url, self.headers)
        if parser.should_upgrade():
            request_head.check_offer(parser.get_method(), self.headers)
            return  # it is read once more, see _feed
        if len(self.pipeline) >= MOST_WAITING:
            raise InvalidRequest("Read the answers before you send more requests.")
        super().on_headers_complete()
        self._stop()
        self._begun, self._in_body = False, True
        self._size = self._lines = 0

    def on_chunk_header(self) -> None:
        self._size -= CHUNK_LINE_BYTES

    def on_body(self, body: bytes) -> None:
        self._size -= (1 + SHARE_OF_DATA) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._size, self._in_body = 0, False
        self.scope[WHOLE] = True  # type: ignore[literal-required]
        super().on_message_complete()
        if self.cycle.response_complete:
            # It was answered before its body had come.
            self._stop()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._refusal is not None and last:
            self._answer(self._refusal)
        elif self._in_body and self.cycle.response_complete:
            # The rest of the body is read, so that the client comes to read its answer.
            self._start()

    def _feed(self, data: bytes) -> None:
        """Raises HttpParserError."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as found:
                # The parser takes what follows for the other protocol. This server
                # speaks none: the request is read as if nothing had been offered.
                data = self._head_without_upgrade() + data[found.args[0] :]
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % one for one in self.headers if one[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _start(self) -> None:
        self._stop()
        wait_s = settings.LLM_HEADER_TIMEOUT_S
        self._timer = self.loop.call_later(wait_s, self._too_late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self._refusal is not None or self._in_body:
            # It was answered, and still sends.
            self.transport.abort()
        elif self.cycle is not None and not self.cycle.response_complete:
            # The request before this one is being answered: not in the middle of that.
            self._start()
        elif self._begun or self._size:
            self._refuse(RequestTooLate("The request's head did not arrive in time."))
        else:
            # Somebody connected in advance, as browsers do: there is nothing to answer.
            self.transport.close()

    def _refuse(self, error: GatewayError) -> None:
        """Read no further; tell so, but not within another request's answer."""
        log.info("connection.refused", code=error.code, bytes=self._size)
        self._stop()
        self._refusal, cycle = error, self.cycle
        if self._in_body and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        elif self._in_body and cycle.response_started:
            self.transport.abort()
        elif self._in_body or cycle is None or cycle.response_complete:
            self._answer(error)

    def _answer(self, error: GatewayError) -> None:
        body = error.json()
        head = (
            b"content-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n" % len(body)
        )
        self.transport.write(STATUS_LINE[error.status] + head + body)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.transport.can_write_eof():
            # Closed at once, it would be lost with what the client still sends.
            self.transport.write_eof()
            self._start()
        else:
            self.transport.close()


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"A request's head has at most {MOST_HEAD_BYTES} bytes.")


def _reason(error: HttpParserError) -> GatewayError:
    """What one of the methods above raised, or what the parser says."""
    cause = error.__context__
    if isinstance(cause, GatewayError):
        return cause
    return InvalidRequest(f"This is no HTTP request: {error}.", code="invalid_http")
