"""T3: kill -9 in six named places of a request's money: nothing lost, nothing double."""

import asyncio
import secrets
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from billing.models import Usage
from llm.journal.recovery import settle_all
from tests.faults import invariants
from tests.faults.conftest import Stage
from tests.faults.counts import either
from tests.faults.rig import Rig
from tests.faults.traffic import Client, Row
from tests.faults.web import Web, webs

RUNS = either(1, 100)
# So many are started while one is in use: starting takes longer than dying.
BROKEN = either(1, 3)
# Place -> must the upstream have been called, once the process is dead?
PLACES = {
    "before_reserve_commit": False,
    "after_reserve_commit": False,
    "after_connect": True,
    "after_last_token": True,
    "inside_settle": True,
    "after_commit_before_response": True,
}
REPLAYED = "after_commit_before_response"


@pytest.fixture(scope="module")
def frail(stage: Stage) -> Iterator[list[Web]]:
    """A sound process, and those that are started with a failpoint again and again."""
    env = {
        **stage.env,
        "REDIS_PREFIX": f"frail-{secrets.token_hex(4)}",
        # The retry asks the same, and so waits for the dead one's lead to lapse.
        "COALESCE_LEASE_S": "1",
    }
    # A folder for each: one that waits for its turn must not settle for the dead.
    folders = [str(stage.folder / f"frail-{number}") for number in range(BROKEN + 1)]
    made = [Web(stage.folder, {**env, "JOURNAL_DIR": folder}) for folder in folders]
    with webs(made) as running:
        yield running


def arm(web: Web, place: str) -> None:
    """Start it anew, to die at `place`; without waiting until it answers."""
    web.kill()
    web.spawn(VALUECANVAS_FAILPOINT=place)


@pytest.mark.parametrize("place", PLACES)
async def test_settle_path__killed_there__loses_nothing_and_doubles_nothing(
    rig: Rig, frail: list[Web], place: str
) -> None:
    rig.webs = frail
    offer = rig.provide("ok-12")
    sound, *frail = frail
    for web in frail:
        arm(web, place)
    keys = [f"{place}-{number}-{secrets.token_hex(4)}" for number in range(RUNS)]
    streams = cycle([True, False])
    seen: list[Row] = []
    async with Client() as client:
        for key, stream, broken in zip(keys, streams, cycle(frail), strict=False):
            text, asked = rig.text(), {"Idempotency-Key": key}
            await asyncio.to_thread(broken.wait)
            before = rig.reached(offer)
            row = await rig.ask(
                client, offer, url=broken.url, stream=stream, text=text, headers=asked
            )
            assert not row.whole
            assert await asyncio.to_thread(broken.wait_dead, 60)
            rig.case.inject("kill -9")
            assert rig.reached(offer) - before == int(PLACES[place])
            # As the other process does every ten seconds.
            rig.db(settle_all, Path(broken.env["JOURNAL_DIR"]))
            rig.db(invariants.assert_all_ended)
            again = await rig.ask(
                client, offer, url=sound.url, stream=stream, text=text, headers=asked
            )
            seen += [row, again]
            if place == REPLAYED:
                # It was settled before the process died: the answer is there.
                assert again.whole
                assert again.headers["idempotent-replayed"] == "true"
                assert rig.reached(offer) - before == 1
            rig.case.figure("retry", f"{again.status} {again.code}".strip())
            arm(broken, place)
    for web in frail:
        web.kill()
    rig.case.runs = f"{RUNS} runs"
    rig.db(invariants.assert_all_ended)
    attempts = rig.demo.ended_attempts()
    rig.db(invariants.assert_nothing_lost, attempts)
    own = [one for one in attempts if one.model == offer.upstream[0]]
    ids = {one.attempt[:36] for one in own}
    rows = rig.db(lambda: list(Usage.objects.filter(pk__in=ids)))
    assert len(rows) == len(ids)
    invariants.assert_errors_are_ours(one for one in seen if one.status)
    invariants.assert_no_crash(rig.webs)
