"""A chat completion as a Response object."""

from llm.metering import usage_forms
from llm.translate.chat import (
    call_in,
    calls_in,
    logprobs_in,
    object_in,
    objects_in,
    text_in,
    thoughts_in,
)
from llm.translate.envelope import echo, head, outcome, usage_of
from llm.translate.items import (
    Names,
    Status,
    call_item,
    message_item,
    reasoning_item,
    refusal_part,
    summary_part,
    text_part,
)
from llm.translate.typed_fields import Json
from valuecanvas.core.errors import UpstreamError


def to_response(reply: Json, *, request: Json, response_id: str, created: int) -> Json:
    """The Response for `reply`, a chat completion.

    `request` is the Responses request, `created` in Unix seconds. Parts that a Response
    cannot express are left out. Raises UpstreamError for a reply without choices.
    """
    choices = objects_in(reply, "choices")
    if not choices:
        raise UpstreamError(
            "The provider's reply has no choices.", code="malformed_reply"
        )
    choice = choices[0]
    state = outcome(choice.get("finish_reason"))
    return {
        **head(reply, request, response_id=response_id, created=created, state=state),
        "completed_at": created if state.status == "completed" else None,
        "output": _output(choice, Names(response_id), state.item_status),
        "usage": usage_of(object_in(reply, "usage") or usage_forms.beside(reply)),
        **echo(request),
    }


def _output(choice: Json, names: Names, status: Status) -> list[Json]:
    message = object_in(choice, "message")
    output: list[Json] = []
    if text := thoughts_in(message):
        item_id = names.item("rs", 0)
        output.append(reasoning_item(item_id, [summary_part(text)], "completed"))
    if parts := _parts(message, choice):
        item_id = names.item("msg", len(output))
        output.append(message_item(item_id, parts, "completed"))
    for call in calls_in(message):
        output.append(_call(call, names, len(output)))
    if output:
        # Only what came last can have been cut short.
        output[-1]["status"] = status
    return output


def _parts(message: Json, choice: Json) -> list[Json]:
    parts: list[Json] = []
    if text := text_in(message, "content"):
        parts.append(text_part(text, logprobs_in(choice)))
    if refusal := text_in(message, "refusal"):
        parts.append(refusal_part(refusal))
    return parts


def _call(call: Json, names: Names, index: int) -> Json:
    kind, name, arguments = call_in(call)
    return call_item(
        kind,
        names.item(kind.prefix, index),
        call_id=names.call(text_in(call, "id"), index),
        name=name,
        text=arguments,
        status="completed",
    )
