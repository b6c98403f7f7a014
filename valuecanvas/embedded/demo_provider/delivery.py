"""Delivers an answer the way its behaviour says: paced, cut, broken or well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from email.utils import formatdate
from time import time

from valuecanvas.embedded.demo_provider import oversize
from valuecanvas.embedded.demo_provider.behaviours import Behaviour, Cut
from valuecanvas.embedded.demo_provider.connection import Link
from valuecanvas.embedded.demo_provider.errors import error_body
from valuecanvas.embedded.demo_provider.payload import (
    STREAM_ERROR,
    Order,
    Stream,
    Whole,
)

JSON = {"Content-Type": "application/json"}
_EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
_HTML = {"Content-Type": "text/html"}
_PAGE = b"<html><head><title>%d</title></head><body><h1>%d</h1></body></html>\n"
# An unpaced stream lets the other calls have a turn after this many chunks.
_TURN = 64
_DATE = "date:"


async def deliver(link: Link, order: Order, behaviour: Behaviour) -> None:
    """Sends the answer. Raises ConnectionError when the client is gone."""
    if behaviour.delay:
        await asyncio.sleep(behaviour.delay)
    if await _instead(link, behaviour):
        return
    parcel = order.parcel
    headers = {f"X-Filler-{i}": "demo" for i in range(behaviour.headers)}
    if behaviour.bomb is not None:
        await oversize.bomb(link, behaviour.bomb)
    elif behaviour.huge is not None:
        await oversize.huge(link, parcel, behaviour.huge)
    elif isinstance(parcel, Stream):
        await _stream(link, parcel, behaviour, {**_EVENTS, **headers})
    else:
        await _whole(link, parcel, behaviour, {**JSON, **headers})


async def _instead(link: Link, behaviour: Behaviour) -> bool:
    """Sends something else than an answer, if that is asked for."""
    if behaviour.hang is not None:
        if behaviour.hang == "headers":
            link.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        await link.wait_for_the_end()
    if behaviour.cut == Cut("reset", 0):
        await link.reset()
        link.visit.how = "reset"
    elif behaviour.status is not None:
        await _error(link, behaviour.status, behaviour)
    elif behaviour.html is not None:
        await link.whole(behaviour.html, _PAGE % ((behaviour.html,) * 2), _HTML)
        link.visit.how = "html"
    elif behaviour.redirect:
        await link.whole(307, b"", {"Location": link.request.path})
        link.visit.how = "redirect"
    else:
        return False
    return True


async def _error(link: Link, status: int, behaviour: Behaviour) -> None:
    headers = dict(JSON)
    if behaviour.retry_after is not None:
        headers["Retry-After"] = _retry_after(behaviour.retry_after)
    await link.whole(status, error_body(status, code=behaviour.code), headers)
    link.visit.how = f"status-{status}"


def _retry_after(text: str) -> str:
    seconds = text.removeprefix(_DATE)
    if text.startswith(_DATE) and seconds.isdecimal():
        return formatdate(time() + int(seconds), usegmt=True)
    return text.replace("_", " ")


async def _whole(
    link: Link, parcel: Whole, behaviour: Behaviour, headers: Mapping[str, str]
) -> None:
    cut = behaviour.cut
    if cut is None:
        link.visit.usage = parcel.usage
        await link.whole(200, parcel.body, headers, parcel.tokens)
        link.visit.how = "done"
        return
    half = parcel.body[: len(parcel.body) // 2]
    if cut.kind in ("error_event", "malformed"):
        broken = cut.kind == "malformed"
        tokens = parcel.tokens // 2 if broken else 0
        await link.whole(200, half if broken else STREAM_ERROR, headers, tokens)
        link.visit.how = cut.kind
        return
    await link.begin(200, headers, len(parcel.body))
    await link.send(half, parcel.tokens // 2)
    if cut.kind == "stall":
        await link.wait_for_the_end()
    if cut.kind == "reset":
        await link.reset()
    else:
        link.hang_up()
    link.visit.how = cut.kind


async def _stream(
    link: Link, parcel: Stream, behaviour: Behaviour, headers: Mapping[str, str]
) -> None:
    limit = _limit(parcel, behaviour.cut)
    await link.begin(200, headers)
    for sent, frame in enumerate(parcel.frames):
        if sent == limit:
            break
        if sent and behaviour.pause:
            await asyncio.sleep(behaviour.pause)
        elif sent % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        await link.send(frame.data, frame.tokens)
    if behaviour.cut is not None:
        await _break_off(link, parcel, behaviour.cut)
        return
    link.visit.usage = parcel.usage
    if parcel.ending:
        await link.send(parcel.ending)
    await link.finish()
    link.visit.how = "done"


def _limit(parcel: Stream, cut: Cut | None) -> int | None:
    """How many frames go out before the cut; it comes before the finish at last."""
    if cut is None:
        return None
    after = parcel.content // 2 if cut.after is None else cut.after
    if cut.kind in ("error_event", "malformed"):
        return parcel.lead + min(after, parcel.content)
    return min(after, parcel.lead + parcel.content)


async def _break_off(link: Link, parcel: Stream, cut: Cut) -> None:
    if cut.kind == "stall":
        await link.wait_for_the_end()
    if cut.kind == "error_event":
        await link.send(parcel.error)
    elif cut.kind == "malformed":
        await link.send(parcel.half)
        await link.send(parcel.ending)
    if cut.kind == "reset":
        await link.reset()
    else:
        await link.finish()
    link.visit.how = cut.kind
