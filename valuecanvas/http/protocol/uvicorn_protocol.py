"""uvicorn's HTTP/1.1 protocol with limits for request heads, chunk lines and trailers.

valuecanvas/serve.py starts the server with it. uvicorn alone waits for a head without a
timeout, accepts a head of any size, adds trailers to the headers, and reads the body of a
request that offers an upgrade as the next request.
"""

import asyncio

import structlog
from django.conf import settings
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from valuecanvas.core.errors import (
    GatewayError,
    HeadTooLarge,
    InvalidRequest,
    RequestTooLate,
)
from valuecanvas.http.protocol import request_head

# Limit for the request line and headers, as in uvicorn's other implementation (h11), and
# for the extensions and trailers of a chunked body.
MOST_HEAD_BYTES = 65_536
# The separators of a header line.
LINE_BYTES = 4
# Bytes of a chunk's line that are not counted, and further ones per byte of its data.
CHUNK_LINE_BYTES, SHARE_OF_DATA = 16, 2
# Most pipelined requests.
MOST_WAITING = 16
# Set in the scope when the whole body has arrived: the application need not wait for it.
WHOLE_BODY = "valuecanvas.whole_body"
log = structlog.get_logger("http")


class HttpProtocol(HttpToolsProtocol):
    """Closes a connection whose next request head is too slow or too large.

    The timeout (LLM_HEADER_TIMEOUT_S) starts with the connection, and later with the
    first byte of a request; between requests uvicorn's keep-alive timeout applies.
    """

    _timer: asyncio.TimerHandle | None = None
    # Bytes of an incomplete head, or of a body besides its data.
    _size = 0
    # Bytes of this head's lines, or of the trailers of its body.
    _lines = 0
    _begun = _in_body = False
    # Why nothing more is read; sent after the answers to earlier requests.
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
            # The head is incomplete: even an empty line starts one.
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
        # Not in a method, as it is called for each header of each request.
        self._lines += len(name) + len(value) + LINE_BYTES
        if self._lines > MOST_HEAD_BYTES:
            raise _too_large()
        # Trailers are dropped: no check has seen them.
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        parser = self.parser
        version = parser.get_http_version()
        request_head.check(parser.get_method(), version, self.url, self.headers)
        if parser.should_upgrade():
            request_head.check_offer(parser.get_method(), self.headers)
            return  # the head is parsed again, see _feed
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
        self.scope[WHOLE_BODY] = True  # type: ignore[literal-required]
        super().on_message_complete()
        if self.cycle.response_complete:
            # It was answered before its body had arrived.
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
            # Read the rest of the body, so that the client reads its answer.
            self._start()

    def _feed(self, data: bytes) -> None:
        """Raises HttpParserError."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as found:
                # The parser takes the rest for the other protocol. This server has none,
                # and parses the request again without the upgrade.
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
        self._timer = self.loop.call_later(wait_s, self._handle_timeout)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _handle_timeout(self) -> None:
        self._timer = None
        if self._refusal is not None or self._in_body:
            # It was answered, but still sends.
            self.transport.abort()
        elif self.cycle is not None and not self.cycle.response_complete:
            # The request before this one is still being answered.
            self._start()
        elif self._begun or self._size:
            self._refuse(RequestTooLate("The request's head did not arrive in time."))
        else:
            # An unused connection, as browsers open in advance.
            self.transport.close()

    def _refuse(self, error: GatewayError) -> None:
        """Stop reading and send the error, but not within another request's answer."""
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
            # Closing at once could lose the answer while the client still sends.
            self.transport.write_eof()
            self._start()
        else:
            self.transport.close()


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"A request's head has at most {MOST_HEAD_BYTES} bytes.")


def _reason(error: HttpParserError) -> GatewayError:
    """The error that a callback raised, or one for the parser's message."""
    cause = error.__context__
    if isinstance(cause, GatewayError):
        return cause
    return InvalidRequest(f"This is not an HTTP request: {error}.", code="invalid_http")
