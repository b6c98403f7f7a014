"""Streams in every form that the standard allows: each SDK can read what comes of them."""

from typing import Any

import pytest

from llm.runtime import Runtime
from tests.live.inside import (
    CHAT,
    DONE,
    Exchange,
    chat_body,
    chunk,
    event,
    upstream,
)
from tests.live.wire import content, data_events
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live

ROLE, HELLO, END = chunk(role="assistant"), chunk(content="Hello."), chunk()
USAGE: dict[str, Any] = {"prompt_tokens": 12, "completion_tokens": 2}
PROCESSING = b": OPENROUTER PROCESSING\n\n"
MARK = b"\xef\xbb\xbf"


def numbered(*events: bytes) -> list[bytes]:
    """Each with an id and a time to wait, as some servers write them."""
    return [
        b"id: %d\nretry: 5\n%b" % (number, event) for number, event in enumerate(events)
    ]


async def stream(world: World, gateway: Runtime, model: str, **fields: Any) -> Answer:
    body = chat_body(model, stream=True, **fields)
    return await Exchange(gateway, CHAT, body, key=world.key).run()


@pytest.mark.parametrize(
    "parts",
    [
        [PROCESSING, ROLE, PROCESSING, HELLO, PROCESSING, END, PROCESSING, DONE],
        [b": OPENROUTER PROCESSING\n" + ROLE, HELLO, END, b": bye\n" + DONE],
        numbered(ROLE, HELLO, END, DONE),
        [b"event: ping\n\n", ROLE, HELLO, b"id: 4\n\n", END, b"retry: 9\n\n", DONE],
        [MARK + HELLO, END, DONE],
        [MARK[:1], 0.01, MARK[1:], 0.01, ROLE, HELLO, END, DONE],
        [(ROLE + HELLO + END + DONE).replace(b"\n", b"\r")],
        [part.replace(b"\n", b"\r") for part in (ROLE, HELLO, END, DONE)],
        [ROLE[:-1] + b"\r", b"\n" + HELLO, END, DONE],
        [b"\n\n\n" + ROLE + b"\n" + HELLO, b"\n", END, b"\n" + DONE],
        [HELLO.replace(b",", b"\ndata: ,"), END, DONE],
        [HELLO, END, b"data:  [DONE]\n\n"],
    ],
    ids=["processing", "in the block", "ids", "empty", "mark", "cut mark", "old mac",
         "old mac in parts", "mixed", "blank lines", "lines", "blank"],
)  # fmt: skip
async def test_stream__of_any_form__is_read_by_every_sdk_live_and_replayed(
    indoors: World, gateway: Runtime, parts: list[bytes | float]
) -> None:
    text = unique("Say hello to")
    async with upstream(*parts) as url:
        served = indoors.serve_at((url, "m"))
        live = await stream(indoors, gateway, served.model, text=text)
        again = await stream(indoors, gateway, served.model, text=text)
    assert [one.headers["x-valuecanvas-cache"] for one in (live, again)] == [
        "miss",
        "hit",
    ]
    for answer in (live, again):
        assert content(data_events(answer.body)) == ["Hello."]
        assert data_events(answer.body)[-1] == "[DONE]"
        assert b"\n: x-valuecanvas-cost-usd=" in answer.body


@pytest.mark.parametrize(
    "behind",
    [
        event(
            {"choices": [], "usage": {"prompt_tokens": 500, "completion_tokens": 500}}
        ),
        chunk(content="More."),
        event({"error": {"message": "no"}}),
        b"data: {\n\n",
        b": x\n\n",
    ],
)
@pytest.mark.parametrize("split", [True, False])
async def test_stream__something_behind_done__is_not_read(
    indoors: World, gateway: Runtime, behind: bytes, split: bool
) -> None:
    usage = event({"choices": [], "usage": USAGE})
    parts = [ROLE, HELLO, END, usage, DONE, behind]
    async with upstream(*(parts if split else [b"".join(parts)])) as url:
        served = indoors.serve_at((url, "m"))
        answer = await stream(indoors, gateway, served.model)
    assert content(data_events(answer.body)) == ["Hello."]
    row = indoors.usage(answer.headers["x-request-id"])
    assert (row.status, row.prompt_tokens, row.completion_tokens) == ("ok", 12, 2)


async def test_stream__broken_off__tells_its_cost_inside_the_error_event(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(b"id: 1\n" + HELLO) as url:
        served = indoors.serve_at((url, "m"))
        answer = await stream(indoors, gateway, served.model)
    assert data_events(answer.body)[-1]["error"]["code"] == "stream_interrupted"
    assert b"\n: x-valuecanvas-cost-usd=" in answer.body


@pytest.mark.parametrize("kind", ["openai", "compatible"])
async def test_responses_stream__native_or_translated__is_read_by_every_sdk(
    indoors: World, gateway: Runtime, kind: str
) -> None:
    done = {"type": "response.completed", "response": {"status": "completed"}}
    delta = {"type": "response.output_text.delta", "delta": "Hello."}
    native = numbered(event({"type": "response.created"}), event(delta), event(done))
    chat = numbered(ROLE, HELLO, END, DONE)
    async with upstream(*(native if kind == "openai" else chat)) as url:
        served = indoors.serve_at((url, "m"), provider_kind=kind)
        body = chat_body(served.model, stream=True).replace(b'"messages"', b'"input"')
        answer = await Exchange(gateway, "/v1/responses", body, key=indoors.key).run()
    events = [one for one in data_events(answer.body) if one != "[DONE]"]
    kinds = [one["type"] for one in events]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert b"id:" not in answer.body.replace(b'"id":', b"")
    assert b"\n: x-valuecanvas-cost-usd=" in answer.body
