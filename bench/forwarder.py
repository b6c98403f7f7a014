"""The baseline: an ASGI app that only forwards, without checks and billing."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

UPSTREAM = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:1")


class Forwarder:
    """Forwards a POST's body to the upstream, and the answer back."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._forward(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _forward(self, scope: Message, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if self._session is None:
            raise RuntimeError("the server must run its lifespan first")
        url = self._upstream + scope["path"]
        headers = {"content-type": "application/json"}
        call = self._session.request(scope["method"], url, data=body, headers=headers)
        async with call as answer:
            kind = answer.headers.get("content-type", "application/json")
            start = {"type": "http.response.start", "status": answer.status}
            await send({**start, "headers": [(b"content-type", kind.encode())]})
            async for piece in answer.content.iter_any():
                body_part = {"type": "http.response.body", "body": piece}
                await send({**body_part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


app = Forwarder(UPSTREAM)
