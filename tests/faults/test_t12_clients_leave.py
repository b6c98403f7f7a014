"""T12: clients leave in the middle of a stream: closed upstream, billed, settled."""

import random
import time

from tests.faults.counts import either
from tests.faults.rig import Rig
from tests.faults.traffic import Client, Cut, arrivals

STREAMS = either(12, 200)
SEED = 12


async def test_stream__cut_at_a_random_byte__is_closed_upstream_and_billed_once(
    rig: Rig,
) -> None:
    dice = random.Random(SEED)
    offer = rig.provide("drip@10ms:400")
    cuts = [Cut(dice.randint(1, 20_000), reset=n % 2 == 1) for n in range(STREAMS)]
    async with Client() as client:
        seen = await arrivals(
            [
                lambda cut=cut: rig.ask(client, offer, stream=True, cut=cut)
                for cut in cuts
            ],
            rate=50,
        )
    left_at = {row.request_id: row.began + row.took for row in seen}
    assert [row.broke for row in seen] == ["cut"] * STREAMS
    rig.case.runs = f"{STREAMS} streams"
    rig.case.inject("FIN", sum(not cut.reset for cut in cuts))
    rig.case.inject("RST", sum(cut.reset for cut in cuts))

    rig.settled(*seen)
    assert rig.refereed(*seen) == STREAMS
    offset = time.time() - time.monotonic()
    late = []
    for one in rig.demo.ended_attempts():
        if one.model == offer.upstream[0]:
            assert one.how == "client_gone", one
            late.append(one.ended_at - offset - left_at[one.attempt[:36]])
    assert len(late) == STREAMS
    rig.case.figure("upstream closed after, at most", f"{max(late) * 1000:.0f} ms")
    statuses = {row.status for row in rig.usage_rows()}
    assert statuses == {"client_gone"}
