"""The input items of a Responses request as the messages of a chat."""

from llm.translate.content_parts import assistant_text, chat_content
from llm.translate.items import CUSTOM, FUNCTION, CallKind
from llm.translate.typed_fields import (
    Json,
    a_list_of_objects,
    a_string,
    unsupported_field,
)
from valuecanvas.core.errors import InvalidRequest

# Chat providers other than OpenAI know no "developer"; all of them know "system".
ROLES = (("user", "user"), ("system", "system"), ("developer", "system"))
CALLS = {kind.item: kind for kind in (FUNCTION, CUSTOM)}
OUTPUTS = tuple(f"{kind}_output" for kind in CALLS)


def chat_messages(source: object, instructions: object) -> list[Json]:
    """The chat messages for `instructions` and `input`.

    Raises InvalidRequest with the name of an item that a chat can't express.
    """
    messages: list[Json] = []
    if instructions:
        text = a_string(instructions, "instructions")
        messages.append({"role": "system", "content": text})
    if isinstance(source, str):
        messages.append({"role": "user", "content": source})
        return messages
    for item, param in a_list_of_objects(source, "input"):
        _add(messages, item, param)
    if not messages:
        raise InvalidRequest(
            "'input' is empty. Send a string or at least one message.",
            param="input",
            code="invalid_value",
        )
    return messages


def _add(messages: list[Json], item: Json, param: str) -> None:
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    if kind == "message":
        _add_message(messages, item, param)
    elif kind in CALLS:
        _add_call(messages, CALLS[kind], item, param)
    elif kind in OUTPUTS:
        messages.append(
            {
                "role": "tool",
                "tool_call_id": a_string(item.get("call_id"), f"{param}.call_id"),
                "content": chat_content(item.get("output"), f"{param}.output"),
            }
        )
    elif kind == "item_reference":
        raise unsupported_field(
            param, "A reference to an earlier item", "Send the item itself."
        )
    elif kind != "reasoning":
        # Reasoning is left out: a chat hands no earlier thoughts to the model.
        raise unsupported_field(
            f"{param}.type",
            "This kind of item",
            "Send messages, calls of your own tools and their outputs.",
        )


def _add_message(messages: list[Json], item: Json, param: str) -> None:
    role = item.get("role")
    content = item.get("content")
    if role == "assistant":
        _say(messages, assistant_text(content, f"{param}.content"))
        return
    for name, ours in ROLES:
        if role == name:
            said = chat_content(content, f"{param}.content")
            messages.append({"role": ours, "content": said})
            return
    raise InvalidRequest(
        f"'{param}.role' must be 'user', 'assistant', 'system' or 'developer'.",
        param=f"{param}.role",
        code="invalid_value",
    )


def _say(messages: list[Json], text: str) -> None:
    """Add a text; after a call it joins the call's message, as its output must follow."""
    last = messages[-1] if messages else {}
    if "tool_calls" not in last:
        messages.append({"role": "assistant", "content": text})
    elif last["content"] is None:
        last["content"] = text
    else:
        last["content"] += f"\n\n{text}"


def _add_call(messages: list[Json], kind: CallKind, item: Json, param: str) -> None:
    """Add a call; neighbouring calls and the text before them are one message."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(
        {
            "id": a_string(item.get("call_id"), f"{param}.call_id"),
            "type": kind.member,
            kind.member: {
                "name": a_string(item.get("name"), f"{param}.name"),
                kind.text: a_string(item.get(kind.text), f"{param}.{kind.text}"),
            },
        }
    )
