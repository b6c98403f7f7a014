"""T11: answers that break: before content fail over, after it say so, and never [DONE]."""

import openai
import pytest

from tests.faults.counts import either
from tests.faults.rig import Offer, Rig
from tests.faults.traffic import Client, Row, arrivals

RUNS = either(3, 100)
BEFORE = ["reset@0", "reset@1", "truncated@1", "error-event@0", "malformed@0", "html-200"]  # fmt: skip
# At a pace, so that what came before the break has been passed on by then.
PACE_MS = either(50, 10)
AFTER = [f"drip@{PACE_MS}ms+{cut}" for cut in ("reset@7", "truncated@7", "error-event@6", "malformed@6")]  # fmt: skip
WHOLE = ["reset@0", "reset@5", "truncated", "malformed", "html-200", "html-502", "error-event@0"]  # fmt: skip


async def run(rig: Rig, offer: Offer, *, stream: bool) -> list[Row]:
    """Each request at a provider of its own would be: the breaker is closed again."""
    async with Client() as client:
        return await arrivals(
            [lambda: rig.ask(client, offer, stream=stream)] * RUNS, rate=50
        )


@pytest.mark.parametrize("behaviour", BEFORE)
async def test_stream__breaks_before_content__is_one_clean_stream_of_the_next(
    rig: Rig, behaviour: str
) -> None:
    offer = rig.provide(behaviour, "ok-12")
    seen = await run(rig, offer, stream=True)
    assert [row.whole and row.done for row in seen] == [True] * RUNS
    assert {row.text for row in seen} == {seen[0].text}
    assert {row.tokens for row in seen} == {9}
    rig.case.runs = f"{RUNS} streams"
    rig.case.inject(behaviour, rig.reached(offer))
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == RUNS


@pytest.mark.parametrize("behaviour", AFTER)
async def test_stream__breaks_after_content__says_so_and_sends_no_done(
    rig: Rig, behaviour: str
) -> None:
    offer = rig.provide(behaviour, "ok-12")
    seen = await run(rig, offer, stream=True)
    cut = [row for row in seen if row.headers["x-valuecanvas-provider"] == offer.providers[0]]  # fmt: skip
    assert cut
    assert {row.code for row in cut} == {"stream_interrupted"}
    assert not any(row.done or row.broke for row in cut)
    # A reset may throw away what the socket held.
    assert all(0 < row.tokens <= 6 for row in cut)
    assert all(row.whole and row.done for row in seen if row not in cut)
    rig.case.runs = f"{RUNS} streams"
    rig.case.inject(behaviour, len(cut))
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == RUNS


@pytest.mark.parametrize("behaviour", WHOLE)
async def test_whole_answer__breaks__is_answered_by_the_next(
    rig: Rig, behaviour: str
) -> None:
    offer = rig.provide(behaviour, "ok-12")
    seen = await run(rig, offer, stream=False)
    assert [row.whole for row in seen] == [True] * RUNS
    assert rig.reached(offer, 1) == RUNS
    rig.case.runs = f"{RUNS} requests"
    rig.case.inject(behaviour, rig.reached(offer))
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == RUNS


@pytest.mark.parametrize("behaviour", AFTER)
async def test_sdk__stream_breaks_after_content__raises(
    rig: Rig, behaviour: str
) -> None:
    raised = 0
    async with rig.async_sdk() as client:
        for _ in range(RUNS):
            # A breaker of its own each time: an open one would not be asked.
            offer = rig.provide(behaviour)
            stream = await client.chat.completions.create(
                model=offer.model,
                messages=[{"role": "user", "content": rig.text()}],
                stream=True,
            )
            with pytest.raises(openai.APIError, match="broke off"):
                async for _ in stream:
                    pass
            raised += 1
    rig.case.runs = f"{RUNS} streams"
    rig.case.inject(behaviour, raised)
    rig.settled()
