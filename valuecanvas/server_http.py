"""uvicorn's HTTP, which by itself waits for ever for a request's head.

uvicorn valuecanvas.asgi:application --http valuecanvas.server_http:HttpProtocol
"""

import asyncio

import structlog
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from valuecanvas.core.errors import GatewayError, HeadTooLarge, HeadTooLate

# Request line and headers of one request, as of uvicorn's other implementation (h11).
MOST_HEAD_BYTES = 65_536
log = structlog.get_logger("http")


class HttpProtocol(HttpToolsProtocol):
    """Closes a connection whose next request's head does not come in time, or to an end.

    Time (LLM_HEADER_TIMEOUT_S) runs from the connection on, and later from the first
    byte of a request; between two of them uvicorn's own keep-alive limit holds.
    """

    _timer: asyncio.TimerHandle | None = None
    # Bytes that came since the last request; its body is not counted.
    _size = 0
    _begun = _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        super().data_received(data)
        begun = self._begun or bool(self._size)
        if not begun or self._in_body or self.transport.is_closing():
            return
        # There is something of a head, be it an empty line, and it is not whole.
        if self._size > MOST_HEAD_BYTES:
            most = MOST_HEAD_BYTES
            self._refuse(HeadTooLarge(f"A request's head has at most {most} bytes."))
        elif self._timer is None:
            self._start()

    def on_message_begin(self) -> None:
        self._begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop()
        self._begun, self._in_body = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._size, self._in_body = 0, False
        super().on_message_complete()

    def _start(self) -> None:
        wait_s = settings.LLM_HEADER_TIMEOUT_S
        self._timer = self.loop.call_later(wait_s, self._too_late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            # The request before this one is being answered: not in the middle of that.
            self._start()
        elif self._begun or self._size:
            self._refuse(HeadTooLate("The request's head did not arrive in time."))
        else:
            # Somebody connected in advance, as browsers do: there is nothing to answer.
            self.transport.close()

    def _refuse(self, error: GatewayError) -> None:
        log.info("connection.refused", code=error.code, bytes=self._size)
        body = error.json()
        head = (
            b"content-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n" % len(body)
        )
        self.transport.write(STATUS_LINE[error.status] + head + body)
        self.transport.close()
