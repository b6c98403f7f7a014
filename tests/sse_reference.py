"""Readers of event streams, as strict as the strictest: the standard, and the SDKs.

`read_standard` is the algorithm of the WHATWG standard, step by step. The others hold
the rules of the readers inside openai-go (up to 3.42), openai-python and openai-node.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

DONE = "[DONE]"


@dataclass(frozen=True)
class Event:
    """An event as it is dispatched."""

    kind: str
    data: str


class Unreadable(Exception):
    """The SDK raises on this stream, or hands out an event that is none."""


def lines_of(body: bytes) -> list[str]:
    """The lines, by the standard; what comes after the last line end is not one."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    return re.split("\r\n|\n|\r", text)[:-1]


def read_standard(body: bytes) -> list[Event]:
    """All events that a browser would dispatch."""
    events: list[Event] = []
    kind, data = "", ""
    for line in lines_of(body):
        if not line:
            if data:
                events.append(Event(kind, data.removesuffix("\n")))
            kind, data = "", ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data += value + "\n"
    return events


def blocks(body: bytes) -> list[Event]:
    """As openai-go reads: every blank line ends an event, whether it has data or not."""
    found, kind, data = [], "", ""
    for line in lines_of(body):
        name, _, value = line.partition(":")
        if not line:
            found.append(Event(kind, data))
            kind, data = "", ""
        elif name == "event":
            kind = value.removeprefix(" ")
        elif name == "data":
            data += value.removeprefix(" ") + "\n"
    return found


def python_blocks(body: bytes) -> list[Event]:
    """As openai-python: once an id was read, every blank line ends an event."""
    found: list[Event] = []
    kind, seen, retry = "", False, False
    data: list[str] = []
    for line in lines_of(body):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if kind or data or seen or retry:
                found.append(Event(kind, "\n".join(data)))
            kind, data, retry = "", [], False
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            seen = bool(value) or seen
        elif name == "retry":
            retry = value.isdecimal() or retry
    return found


def node_blocks(body: bytes) -> list[Event]:
    """As openai-node: a named event without data is an event."""
    return [one for one in blocks(body) if one.kind or one.data]


READERS: dict[str, Callable[[bytes], list[Event]]] = {
    "go": blocks,
    "python": python_blocks,
    "node": node_blocks,
}


def read_strictly(body: bytes) -> list[Any]:
    """The values that every SDK hands out, alike; `[DONE]` stays text.

    Raises Unreadable where one of them would raise, or two differ.
    """
    results = {name: _values(read(body)) for name, read in READERS.items()}
    first, *others = results.values()
    if any(other != first for other in others):
        raise Unreadable(results)
    return first


def _values(events: list[Event]) -> list[Any]:
    values: list[Any] = []
    for event in events:
        if values[-1:] == [DONE]:
            raise Unreadable("There is an event behind the end.")
        if event.data.startswith(DONE):
            values.append(DONE)
            continue
        try:
            values.append(orjson.loads(event.data))
        except orjson.JSONDecodeError as error:
            raise Unreadable(f"unexpected end of JSON input: {event!r}") from error
    return values
