"""One HTTP exchange, with writes that have reached the kernel."""

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from tests.fault_provider.send_log import LoggedCall

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, zero seconds
_READING_SECONDS = 0.05


class Connection:
    """Sends parts of an answer over a request's connection.

    Writes go straight to the transport, which passes each one to the socket at once. So
    each chunk is one write, and the send log counts what the kernel accepted.
    """

    def __init__(self, request: web.Request, call: LoggedCall) -> None:
        self.request = request
        self.call = call
        self.response: web.StreamResponse = web.Response()

    async def begin(
        self, status: int, headers: Mapping[str, str], length: int | None = None
    ) -> None:
        """Sends the status and the headers; without a length the body is chunked."""
        self.response = web.StreamResponse(status=status, headers=headers)
        if length is None:
            self.response.enable_chunked_encoding()
        else:
            self.response.content_length = length
        self.transport().set_write_buffer_limits(high=0)
        await self.response.prepare(self.request)

    async def send(self, data: bytes, tokens: int = 0) -> None:
        """Writes `data` as it is and counts its tokens. Raises ConnectionError."""
        transport = self.transport()
        transport.write(data)
        if transport.get_write_buffer_size():
            await self.request.writer.drain()
            self.transport()
        self.call.count_sent(tokens)

    async def finish(self) -> None:
        """Ends the body."""
        await self.response.write_eof()

    async def send_whole(
        self, status: int, body: bytes, headers: Mapping[str, str], tokens: int = 0
    ) -> None:
        """Sends a complete answer in one write and waits until the kernel has it."""
        self.response = web.Response(status=status, body=body, headers=headers)
        self.transport().set_write_buffer_limits(high=0)
        await self.response.prepare(self.request)
        await self.response.write_eof()
        self.call.count_sent(tokens)

    async def reset(self) -> None:
        """Closes the connection by TCP RST, after a pause in which the client can read.

        A client's event loop drops its buffer on a reset, so without the pause a random
        part of the answer would arrive.
        """
        await asyncio.sleep(_READING_SECONDS)
        transport = self.transport()
        peer: socket.socket = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()

    def transport(self) -> asyncio.WriteTransport:
        """The open transport, for raw bytes. Raises ConnectionResetError if it is closed."""
        transport = self.request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("The client has gone.")
        return transport
