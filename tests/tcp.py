"""A TCP server in the test's own event loop that leaves no socket open behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def stop_accept(server: asyncio.Server) -> None:
    """Accepts nothing more, and waits until each accepted connection has its handler.

    Before close(): a closed server of Python 3.11 loses a connection that it has just
    accepted, and leaves its socket open.
    """
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener)
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def tcp_server(handle: Handle) -> AsyncIterator[int]:
    """Its port. `handle` serves a connection, which is closed after it.

    A client that leaves is no error. At the end what is still under way is cancelled and
    every connection is closed, that of a handler which never began too.
    """
    serving: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await handle(reader, writer)
        finally:
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving[writer] = asyncio.create_task(serve(reader, writer))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    # Begun before close(), as Python 3.11 waits for no connection after it.
    closed = asyncio.create_task(server.wait_closed())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop_accept(server)
        server.close()
        for writer, task in serving.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*serving.values(), return_exceptions=True)
        # An aborted transport lets its socket go in a later round.
        ends = [writer.wait_closed() for writer in serving]
        await asyncio.gather(*ends, return_exceptions=True)
        await closed
