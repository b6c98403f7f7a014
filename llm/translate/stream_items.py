"""Output items that grow from deltas, and their events."""

from dataclasses import dataclass, field

import orjson

from llm.translate.events import EventWriter, before
from llm.translate.items import (
    FUNCTION,
    CallKind,
    Status,
    call_item,
    message_item,
    reasoning_item,
    refusal_part,
    summary_part,
    text_part,
)
from llm.translate.typed_fields import Json


@dataclass(slots=True)
class Part:
    """One part of a message or of reasoning: `kind` as in its events."""

    kind: str
    where: Json
    opening: bytes
    pieces: list[str] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)

    def content(self) -> Json:
        text = "".join(self.pieces)
        if self.kind == "output_text":
            return text_part(text, self.logprobs)
        return refusal_part(text) if self.kind == "refusal" else summary_part(text)


class GrowingItem:
    """An output item that is open until it is closed."""

    def __init__(self, index: int, item_id: str) -> None:
        self.status: Status = "in_progress"
        self._id = item_id
        self._index = index

    def item(self) -> Json:
        """The item as it is now."""
        raise NotImplementedError

    def open(self, writer: EventWriter) -> bytes:
        return self._event(writer, "added")

    def close(self, writer: EventWriter, status: Status) -> list[bytes]:
        """The events of what ends with the item, and of its own end."""
        events = self._end(writer, status)
        return [*events, self._event(writer, "done")]

    def _end(self, writer: EventWriter, status: Status) -> list[bytes]:
        """Set the status; the events of what ends with the item."""
        raise NotImplementedError

    def _event(self, writer: EventWriter, what: str) -> bytes:
        fields = {"output_index": self._index, "item": self.item()}
        return writer.event(f"response.output_item.{what}", fields)


class TextItem(GrowingItem):
    """A message, or the reasoning before it."""

    def __init__(self, index: int, item_id: str, *, reasoning: bool) -> None:
        super().__init__(index, item_id)
        self.reasoning = reasoning
        self._closed: list[Json] = []
        self._part: Part | None = None
        self._part_name = "reasoning_summary_part" if reasoning else "content_part"

    def item(self) -> Json:
        content = self._closed + ([self._part.content()] if self._part else [])
        build = reasoning_item if self.reasoning else message_item
        return build(self._id, content, self.status)

    def write(
        self, writer: EventWriter, kind: str, text: str, logprobs: list[Json]
    ) -> list[bytes]:
        """`kind` is output_text, refusal or reasoning_summary_text."""
        part = self._part
        if part is not None and part.kind == kind:
            events = []
        else:
            events = self._close_part(writer)
            part = self._open_part(kind)
            added = {**part.where, "part": part.content()}
            events.append(writer.event(f"response.{self._part_name}.added", added))
        part.pieces.append(text)
        middle = orjson.dumps(text)
        if kind == "output_text":
            part.logprobs += logprobs
            middle += b',"logprobs":%b' % orjson.dumps(logprobs)
        events.append(writer.splice(part.opening, middle))
        return events

    def _end(self, writer: EventWriter, status: Status) -> list[bytes]:
        events = self._close_part(writer)
        self.status = status
        return events

    def _open_part(self, kind: str) -> Part:
        where = {
            "item_id": self._id,
            "output_index": self._index,
            "summary_index" if self.reasoning else "content_index": len(self._closed),
        }
        self._part = Part(kind, where, before(f"response.{kind}.delta", "delta", where))
        return self._part

    def _close_part(self, writer: EventWriter) -> list[bytes]:
        part = self._part
        if part is None:
            return []
        self._part = None
        content = part.content()
        self._closed.append(content)
        ended = {**part.where, **done_fields(content)}
        return [
            writer.event(f"response.{part.kind}.done", ended),
            writer.event(
                f"response.{self._part_name}.done", {**part.where, "part": content}
            ),
        ]


class CallItem(GrowingItem):
    """A call of a function or a custom tool."""

    def __init__(
        self, kind: CallKind, index: int, item_id: str, *, call_id: str, name: str
    ) -> None:
        super().__init__(index, item_id)
        self._kind = kind
        self._call_id = call_id
        self._name = name
        self._where: Json = {"item_id": item_id, "output_index": index}
        self._pieces: list[str] = []
        self._opening = before(f"{kind.event}.delta", "delta", self._where)

    def item(self) -> Json:
        return call_item(
            self._kind,
            self._id,
            call_id=self._call_id,
            name=self._name,
            text="".join(self._pieces),
            status=self.status,
        )

    def write(self, writer: EventWriter, text: str) -> bytes:
        self._pieces.append(text)
        return writer.splice(self._opening, orjson.dumps(text))

    def is_whole(self) -> bool:
        """Whether the arguments are a complete JSON object. Not an empty one, with which
        some providers start; and the end of other texts is unknown.
        """
        if self._kind is not FUNCTION:
            return False
        try:
            found = orjson.loads("".join(self._pieces))
        except orjson.JSONDecodeError:
            return False
        return isinstance(found, dict) and bool(found)

    def _end(self, writer: EventWriter, status: Status) -> list[bytes]:
        self.status = status
        text = {self._kind.text: "".join(self._pieces)}
        ended = {**self._where, "name": self._name, **text}
        return [writer.event(f"{self._kind.event}.done", ended)]


def done_fields(content: Json) -> Json:
    """The fields of a content part's last event."""
    return {
        name: content[name]
        for name in ("text", "refusal", "logprobs")
        if name in content
    }
