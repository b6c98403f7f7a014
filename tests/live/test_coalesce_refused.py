"""Requests that are alike, and that a budget refuses one after the other."""

import asyncio
from typing import Any

import pytest

from llm.runtime import Runtime
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.world import World

pytestmark = pytest.mark.live

MANY = 60


@pytest.mark.parametrize("stream", [False, True])
async def test_twins__each_leader_is_refused__ask_the_ledger_a_few_times_each(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """Else each refusal starts all the others anew: thousands of commits for sixty."""
    indoors.budget(limit="0.000001")
    body = chat_body(indoors.serve("ok").model, max_tokens=100, stream=stream)
    batch: Any = gateway.ledger._batch
    items: list[Any] = []
    submit = batch.submit

    def note(item: Any) -> Any:
        items.append(item)
        return submit(item)

    monkeypatch.setattr(batch, "submit", note)
    asked = [Exchange(gateway, CHAT, body, key=indoors.key).run() for _ in range(MANY)]
    for answer in await asyncio.gather(*asked):
        assert (answer.status, answer.error["code"]) == (429, "budget_exceeded")
    assert len(items) <= 25 * MANY
    assert indoors.counter() == (0, 0, 0)
    assert indoors.reserved() == 0
