"""One HTTP exchange: writes that are known to have reached the kernel."""

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from valuecanvas.embedded.demo_provider.send_log import LoggedCall

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, zero seconds
_READING_SECONDS = 0.05


class Connection:
    """Sends parts of an answer over the connection of a request.

    Writes go straight to the transport: it hands each one to the socket at once, so
    a chunk is a write of its own and the send log's count is what the kernel took.
    """

    def __init__(self, request: web.Request, call: LoggedCall) -> None:
        self.request = request
        self.call = call
        self.response: web.StreamResponse = web.Response()

    async def begin(
        self, status: int, headers: Mapping[str, str], length: int | None = None
    ) -> None:
        """Sends the status and the headers; without a length, chunks follow."""
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
        """Sends a complete answer in one write; returns once the kernel has it."""
        self.response = web.Response(status=status, body=body, headers=headers)
        self.transport().set_write_buffer_limits(high=0)
        await self.response.prepare(self.request)
        await self.response.write_eof()
        self.call.count_sent(tokens)

    async def reset(self) -> None:
        """Closes the connection by TCP RST, once the client could read what it got.

        An event loop that learns of a reset drops what it has buffered, so without
        the pause it would be left to chance how much of the answer arrives.
        """
        await asyncio.sleep(_READING_SECONDS)
        transport = self.transport()
        peer: socket.socket = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()

    def transport(self) -> asyncio.WriteTransport:
        """The open transport, for bytes outside of any response."""
        transport = self.request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("The client has gone.")
        return transport
