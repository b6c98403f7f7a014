"""An attack on the cold path, in a process of its own: see test_cold_flood.

python -m tests.security.flood <port> <visitors> <writers> <readers> <scrapers>

It goes on until its standard input ends, and then prints what was answered, as JSON.
"""

import asyncio
import secrets
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import orjson

Seen = Counter[str]
# Not the address of the callers and operators.
ADDRESS = "127.0.0.2"
ASKED = b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
BODY = (
    b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"
)
LARGE = b"/api/schema"
SMALL_BUFFER = 4096


async def visit(port: int, seen: Seen) -> None:
    """Ask for a page with a made-up session, again as soon as it is answered."""
    cookie = b"Cookie: sessionid=%s\r\n" % secrets.token_hex(20).encode()
    await ask(port, seen, ASKED % (b"/admin/", cookie), "visitor")


async def scrape(port: int, seen: Seen) -> None:
    """Ask ten times a second: scrapers are of one's own network."""
    await ask(port, seen, ASKED % (b"/metrics", b""), "scraper", pause_s=0.1)


async def ask(
    port: int, seen: Seen, raw: bytes, name: str, pause_s: float = 0.0
) -> None:
    reader, writer = await connect(port)
    while True:
        await asyncio.sleep(pause_s)
        writer.write(raw)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        seen[f"{name} {head[9:12].decode()}"] += 1


async def write_slowly(port: int, seen: Seen) -> None:
    """Send a body byte by byte."""
    reader, writer = await connect(port)
    writer.write(BODY)
    answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    while not answer.done():
        writer.write(b"a")
        await asyncio.sleep(0.5)
    seen[f"writer {answer.result()[9:12].decode()}"] += 1


async def read_slowly(port: int, seen: Seen) -> None:
    """Ask for something large, and read it a byte a second."""
    loop = asyncio.get_running_loop()
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        made.setblocking(False)
        made.bind((ADDRESS, 0))
        await loop.sock_connect(made, ("127.0.0.1", port))
        await loop.sock_sendall(made, ASKED % (LARGE, b""))
        head = await loop.sock_recv(made, 12)
        seen[f"reader {head[9:12].decode()}"] += 1
        while await loop.sock_recv(made, 1):
            await asyncio.sleep(1)


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(ADDRESS, 0))


async def repeat(
    act: Callable[[int, Seen], Awaitable[None]], port: int, seen: Seen
) -> None:
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            await act(port, seen)
        seen[f"{act.__name__} closed"] += 1
        await asyncio.sleep(0.1)


async def main(port: int, *counts: int) -> None:
    seen: Seen = Counter()
    acts = (visit, write_slowly, read_slowly, scrape)
    tasks = [
        asyncio.create_task(repeat(act, port, seen))
        for act, count in zip(acts, counts, strict=True)
        for _ in range(count)
    ]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    sys.stdout.write(orjson.dumps(seen).decode())


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
