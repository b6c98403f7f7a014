"""T13: the client gives up on a whole answer: the call completes, and is billed in full."""

import time

from tests.faults.counts import either
from tests.faults.invariants import eventually
from tests.faults.rig import Rig
from tests.faults.traffic import Client, arrivals

CALLS = either(8, 100)
# Half of it must do to get there.
UPSTREAM_S = either(3.0, 0.6)


async def test_whole_answer__client_leaves_half_way__is_completed_and_billed(
    rig: Rig,
) -> None:
    offer = rig.provide(f"slow@{int(UPSTREAM_S * 1000)}ms+ok-12")
    async with Client() as client:
        seen = await arrivals(
            [lambda: rig.ask(client, offer, give_up_s=UPSTREAM_S / 2)] * CALLS, rate=50
        )
    left = time.time()
    assert [row.broke for row in seen] == ["gave up"] * CALLS
    rig.case.runs = f"{CALLS} calls"
    rig.case.inject("client left", CALLS)
    eventually(lambda: CALLS - len(rig.usage_rows()))
    rig.settled(*seen)
    own = [one for one in rig.demo.ended_attempts() if one.model == offer.upstream[0]]
    assert [one.outcome for one in own] == ["done"] * CALLS
    assert max(one.ended_at or 0 for one in own) > left
    wanted = {one.attempt[:36]: (one.prompt_tokens, one.tokens) for one in own}
    rows = {
        str(row.pk): (row.prompt_tokens, row.completion_tokens)
        for row in rig.usage_rows()
    }
    assert rows == wanted
    assert {row.status for row in rig.usage_rows()} == {"ok"}
