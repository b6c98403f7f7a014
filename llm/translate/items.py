"""The output items of a Response: reasoning, messages and function calls."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from llm.translate.typed_fields import Json

Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]


@dataclass(frozen=True, slots=True)
class CallKind:
    """The names of a kind of call in a chat, in its output item, and in events."""

    member: str
    text: str
    item: str
    event: str
    prefix: str


FUNCTION: Final = CallKind(
    "function", "arguments", "function_call", "response.function_call_arguments", "fc"
)
CUSTOM: Final = CallKind(
    "custom", "input", "custom_tool_call", "response.custom_tool_call_input", "ctc"
)


def message_item(item_id: str, content: list[Json], status: Status) -> Json:
    return {
        "id": item_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def reasoning_item(item_id: str, summary: list[Json], status: Status) -> Json:
    """A reasoning item. Its text goes into the summary, for which the specification and
    the official SDKs have events, and which clients show."""
    return {
        "id": item_id,
        "type": "reasoning",
        "status": status,
        "summary": summary,
    }


def call_item(
    kind: CallKind, item_id: str, *, call_id: str, name: str, text: str, status: Status
) -> Json:
    return {
        "id": item_id,
        "type": kind.item,
        "status": status,
        "call_id": call_id,
        "name": name,
        kind.text: text,
    }


def text_part(text: str, logprobs: list[Json]) -> Json:
    return {
        "type": "output_text",
        "text": text,
        "annotations": [],
        "logprobs": logprobs,
    }


def refusal_part(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def summary_part(text: str) -> Json:
    return {"type": "summary_text", "text": text}


class Names:
    """Makes the ids in one Response from its own id, always the same ones."""

    def __init__(self, response_id: str) -> None:
        self._suffix = response_id.removeprefix("resp_")
        self._calls: set[str] = set()

    def item(self, prefix: str, index: int) -> str:
        return f"{prefix}_{self._suffix}{index:02x}"

    def call(self, given: str, index: int) -> str:
        """The provider's id of a call, or ours if it is missing or used twice."""
        call_id = given
        if not call_id or call_id in self._calls:
            call_id = self.item("call", index)
        self._calls.add(call_id)
        return call_id
