"""A collector that takes traces and forgets them, for what tracing costs a gateway."""

from bench.forwarder import Message, Receive, Send


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer 200 to everything."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    length = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": b""})
