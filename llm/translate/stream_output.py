"""The output of a Response as it grows from the deltas of a chat."""

from dataclasses import dataclass

from llm.translate.chat import call_in, text_in
from llm.translate.events import EventWriter
from llm.translate.items import FUNCTION, CallKind, Names, Status
from llm.translate.stream_items import CallItem, TextItem
from llm.translate.typed_fields import Json

# Arguments of a call whose name has not come yet.
MOST_HELD = 1_048_576


@dataclass(slots=True)
class Slot:
    """A call of the chat: held back until its name is known."""

    given_id: str = ""
    kind: CallKind = FUNCTION
    item: CallItem | None = None
    held: str = ""


class Output:
    """Items open, grow and close in the order of the chat's deltas."""

    def __init__(self, names: Names, writer: EventWriter) -> None:
        self._names = names
        self._writer = writer
        self._items: list[TextItem | CallItem] = []
        self._text: TextItem | None = None
        self._slots: dict[int, Slot] = {}
        self._last: Slot | None = None

    def items(self) -> list[Json]:
        """All items as they are now."""
        return [item.item() for item in self._items]

    def write(self, kind: str, text: str, logprobs: list[Json]) -> list[bytes]:
        """`kind` is output_text, refusal or reasoning_summary_text."""
        item = self._text
        reasoning = kind == "reasoning_summary_text"
        if item is not None and item.reasoning == reasoning:
            return item.write(self._writer, kind, text, logprobs)
        events = self._settle()
        index = len(self._items)
        item_id = self._names.item("rs" if reasoning else "msg", index)
        item = self._text = TextItem(index, item_id, reasoning=reasoning)
        self._items.append(item)
        events.append(item.open(self._writer))
        events += item.write(self._writer, kind, text, logprobs)
        return events

    def call(self, delta: Json) -> list[bytes]:
        """Add a delta of a call; deltas of a closed call are ignored."""
        kind, name, arguments = call_in(delta)
        slot = self._slot(delta, name)
        if slot.item is None:
            slot.kind = kind
            slot.held += arguments
            wait = not name and len(slot.held) <= MOST_HELD
            return [] if wait else self._open_call(slot, name)
        if not arguments or slot.item.status != "in_progress":
            return []
        return [slot.item.write(self._writer, arguments)]

    def close(self, status: Status) -> list[bytes]:
        """Close all that is open; `status` is theirs."""
        events: list[bytes] = []
        for slot in self._slots.values():
            if slot.item is None:
                events += self._open_call(slot, "")
        for item in self._open():
            events += item.close(self._writer, status)
        self._text = None
        return events

    def abandon(self) -> None:
        """Mark open items as incomplete, without an event: clients must not execute a
        call that broke off."""
        for item in self._open():
            item.status = "incomplete"

    def _open(self) -> list[TextItem | CallItem]:
        return [item for item in self._items if item.status == "in_progress"]

    def _slot(self, delta: Json, name: str) -> Slot:
        given_id = text_in(delta, "id")
        index = delta.get("index")
        key = index if isinstance(index, int) else None
        slot = self._last if key is None else self._slots.get(key)
        if slot is None or _begins(slot, name, given_id, key):
            slot = Slot()
            # The same key again: the older call keeps its place in the output.
            self._slots[len(self._slots) if key is None else key] = slot
        slot.given_id = slot.given_id or given_id
        self._last = slot
        return slot

    def _open_call(self, slot: Slot, name: str) -> list[bytes]:
        events = self._settle()
        index = len(self._items)
        item = slot.item = CallItem(
            slot.kind,
            index,
            self._names.item(slot.kind.prefix, index),
            call_id=self._names.call(slot.given_id, index),
            name=name,
        )
        self._items.append(item)
        events.append(item.open(self._writer))
        if slot.held:
            events.append(item.write(self._writer, slot.held))
        return events

    def _settle(self) -> list[bytes]:
        """Close the text and the complete calls before the next item.

        Other calls stay open, as their deltas may be mixed with others.
        """
        events: list[bytes] = []
        if self._text is not None:
            events += self._text.close(self._writer, "completed")
            self._text = None
        for item in self._open():
            if isinstance(item, CallItem) and item.is_whole():
                events += item.close(self._writer, "completed")
        return events


def _begins(slot: Slot, name: str, given_id: str, key: int | None) -> bool:
    """Whether a delta starts a new call and not that of `slot`.

    Some providers number all calls 0, or none; others send a new id with each
    delta. So a new call needs a name, and a new id or neither id nor number.
    """
    if slot.item is None or not name:
        return False
    return given_id != slot.given_id if given_id else key is None
