"""What comes before the first content: how long it is held back, and how much of it."""

import asyncio
from typing import Any

import pytest

from llm import shared_call
from llm.runtime import Runtime
from llm.upstream import stream
from tests.live.inside import (
    CHAT,
    DONE,
    Exchange,
    ask,
    chat_body,
    chunk,
    event,
    upstream,
)
from tests.live.wire import content, data_events
from tests.live.world import World

pytestmark = pytest.mark.live

ROLE, HELLO, END = chunk(role="assistant"), chunk(content="Hello."), chunk()


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm."},
        {"thinking": "Hm."},
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]},
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
async def test_stream__reasoning_first__is_passed_on_at_once(
    indoors: World, gateway: Runtime, fields: dict[str, Any], path: str
) -> None:
    async with upstream(ROLE, chunk(**fields), 60.0) as url:
        # Nothing else comes before the limit for the first token.
        served = indoors.serve_at((url, "m"), first_token_s=8)
        body = chat_body(served.model, stream=True)
        if path != CHAT:
            body = body.replace(b'"messages"', b'"input"')
        exchange = Exchange(gateway, path, body, key=indoors.key)
        serving = exchange.start()
        seen = asyncio.create_task(exchange.until(b"Hm."))
        await asyncio.wait((serving, seen), return_when=asyncio.FIRST_COMPLETED)
        assert seen.done()
        exchange.leave()
        await serving


@pytest.mark.parametrize(
    "held",
    [
        ROLE,
        event({"choices": []}),
        chunk(role="assistant", padding="x" * 500_000),
        event({"choices": [{"index": 0, "delta": {"content": ""}}]}),
    ],
    ids=["role", "nothing", "large", "empty text"],
)
async def test_stream__too_much_before_the_first_content__fails_over(
    indoors: World, gateway: Runtime, held: bytes
) -> None:
    flood = held * (stream.MOST_HELD_BYTES // len(held) + 1)
    async with (
        upstream(flood, HELLO, END, DONE) as bad,
        upstream(ROLE, HELLO, END, DONE) as good,
    ):
        served = indoors.serve_at((bad, "m"), (good, "m"))
        answer = await ask(indoors, gateway, served.model, stream=True)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    assert content(data_events(answer.body)) == ["Hello."]


async def test_stream__usual_events_before_the_first_content__are_held(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(ROLE * 50, HELLO, END, DONE) as url:
        served = indoors.serve_at((url, "m"))
        answer = await ask(indoors, gateway, served.model, stream=True)
    assert content(data_events(answer.body)) == ["Hello."]


async def test_shared_call__more_than_is_kept__is_left_by_its_leader(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_call, "MOST_BYTES", 100)
    kept: list[int] = []
    add = shared_call.SharedCall.add

    def noted(self: shared_call.SharedCall, events: list[bytes]) -> None:
        add(self, events)
        kept.append(self.size)

    monkeypatch.setattr(shared_call.SharedCall, "add", noted)
    async with upstream(*[HELLO, 0.01] * 20, END, DONE) as url:
        served = indoors.serve_at((url, "m"))
        answer = await ask(indoors, gateway, served.model, stream=True)
    assert content(data_events(answer.body)) == ["Hello."] * 20
    assert max(kept) < 100 + 5 * len(HELLO)
