"""T12: clients leave in the middle of a stream: closed upstream, billed, settled."""

import asyncio
import random
import time
from functools import partial

from tests.faults import invariants
from tests.faults.conftest import Stage
from tests.faults.counts import FULL, either
from tests.faults.rig import Offer, Rig
from tests.faults.toxic import Timeout, Toxic
from tests.faults.traffic import Client, Cut, arrivals
from tests.faults.web import Web, webs

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
            [partial(rig.ask, client, offer, stream=True, cut=cut) for cut in cuts],
            rate=50,
        )
    left_at = {row.request_id: row.began + row.took for row in seen}
    assert [row.broke for row in seen] == ["cut"] * STREAMS
    rig.case.runs = f"{STREAMS} streams"
    rig.case.inject("FIN", sum(not cut.reset for cut in cuts))
    rig.case.inject("RST", sum(cut.reset for cut in cuts))

    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == STREAMS
    offset = time.time() - time.monotonic()
    late = []
    for one in rig.demo.ended_attempts():
        if one.model == offer.upstream[0]:
            assert one.outcome == "client_gone", one
            late.append(one.ended_at - offset - left_at[one.attempt[:36]])
    assert len(late) == STREAMS
    rig.case.figure("upstream closed after, at most", f"{max(late) * 1000:.0f} ms")
    assert not FULL or max(late) <= 1
    statuses = {row.status for row in rig.usage_rows()}
    assert statuses == {"client_gone"}


async def test_stream__client_vanishes_without_a_word__is_billed_in_full(
    rig: Rig,
) -> None:
    """Half-open: nothing tells the gateway; the answer fits what TCP buffers."""
    count = either(4, 50)
    offer = rig.provide("drip@20ms:150")
    way = Toxic.before(rig.webs[0].url)
    try:
        async with Client() as client:
            url = way.url(rig.webs[0].url)
            ask = partial(rig.ask, client, offer, url=url, stream=True, give_up_s=3.5)
            seen, _ = await asyncio.gather(
                arrivals([ask] * count, rate=100), _vanish(rig, way, offer, count)
            )
        # The way stays until all is over, or its end would tell of the client's.
        await asyncio.to_thread(
            invariants.eventually, lambda: count - len(rig.usage_rows())
        )
    finally:
        way.close()
    rig.case.inject("half-open", count)
    rig.case.runs = f"{count} streams"
    assert [row.broke for row in seen] == ["gave up"] * count
    rig.settled(*seen)
    rows = rig.usage_rows()
    billed = [(row.status, row.completion_tokens) for row in rows]
    assert billed == [("ok", 150)] * count


async def _vanish(rig: Rig, way: Toxic, offer: Offer, count: int) -> None:
    """Once all streams run, nothing passes any more."""
    await rig.flying(offer, count)
    way.set(Timeout())


async def test_stream__nobody_watches_the_client__is_seen_to_be_read_to_its_end(
    rig: Rig, stage: Stage
) -> None:
    """The twin with the guard off: the first case can fail."""
    env = {**stage.env, "UNGUARDED": "watch", "REDIS_PREFIX": "unwatched"}
    door = "tests.faults.unguarded:application"
    offer = rig.provide("drip@10ms:100")
    with webs([Web(stage.folder, env, door)]) as running:
        rig.webs = running
        async with Client() as client:
            row = await rig.ask(client, offer, stream=True, cut=Cut(500))
        rig.case.inject("FIN")
        rig.settled(row)
        [attempt] = [a for a in rig.demo.ended_attempts() if a.model == offer.upstream[0]]  # fmt: skip
        assert attempt.outcome == "done"
