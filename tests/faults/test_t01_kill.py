"""T1: kill -9 of a web process: every request is billed once, by what it delivered."""

import asyncio
import datetime as dt
import random
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from billing.accounting.reaper import reap
from billing.models import Reservation, Usage
from llm.journal.recovery import settle_all
from tests.faults import invariants
from tests.faults.conftest import Stage
from tests.faults.counts import either
from tests.faults.load import under_load
from tests.faults.rig import Offer, Rig
from tests.faults.traffic import Client, Cut, Row, arrivals
from tests.faults.web import Web, webs

STREAMS = either(12, 50)
ROUNDS = either(1, 20)
KILLS = either(2, 20)
REQUESTS = either(200, 10_000)
RATE = either(40, 60)
# Longer than it takes to start them all on a busy machine.
LONG = "drip@20ms:200"
# USD per million tokens: input, output; in micro-dollars.
PRICES = (1_000_000, 2_000_000)


@pytest.fixture(scope="module")
def doomed(stage: Stage) -> Iterator[list[Web]]:
    """Two processes that may be killed, with a journal folder of their own."""
    env = {
        **stage.env,
        "REDIS_PREFIX": f"doomed-{secrets.token_hex(4)}",
        "JOURNAL_DIR": str(stage.folder / "doomed"),
    }
    with webs([Web(stage.folder, env), Web(stage.folder, env)]) as running:
        yield running


def journals(web: Web) -> list[Path]:
    return list(Path(web.env["JOURNAL_DIR"]).glob(f"{web.pid}-*"))


async def cut_off(rig: Rig, web: Web, offer: Offer) -> list[Row]:
    """Streams at both processes, of which one is killed while they run."""
    async with Client() as client:
        asked = [lambda: rig.ask(client, offer, stream=True)] * STREAMS
        running = asyncio.create_task(arrivals(asked, rate=100))
        await rig.flying(offer, STREAMS)
        # The client has heard of each, so that each can be compared.
        while not all(row.tokens for row in client.rows):
            await asyncio.sleep(0.02)
        await asyncio.sleep(either(0, 1) + 0.3)
        web.kill()
        rig.case.inject("kill -9")
        return await running


async def test_web__killed_with_streams_in_flight__bills_each_by_its_journal(
    rig: Rig, doomed: list[Web]
) -> None:
    rig.webs = doomed
    offer = rig.provide(LONG)
    seen: list[Row] = []
    for number in range(ROUNDS):
        web = doomed[number % 2]
        rows = await cut_off(rig, web, offer)
        seen += rows
        cut = [row for row in rows if not row.whole]
        assert len(cut) == STREAMS // 2
        rig.case.inject("stream cut", len(cut))
        # Any process settles for the dead; the one that starts does so at once.
        web.start()
        rig.db(invariants.assert_all_ended)
    rig.case.runs = f"{ROUNDS} rounds of {STREAMS} streams"
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == len(seen)
    billed = {str(row.pk): row for row in rig.usage_rows()}
    gaps = []
    for row in seen:
        if not row.whole:
            assert "estimated" in billed[row.request_id].marks
            gaps.append(billed[row.request_id].completion_tokens - row.tokens)
    rig.case.figure("most tokens billed past those received", max(gaps))


async def test_web__killed_and_its_journal_lost__is_billed_once_the_lease_is_over(
    rig: Rig, doomed: list[Web]
) -> None:
    """The twin of the above: without the journal nothing is settled at once."""
    rig.webs = doomed
    offer = rig.provide(LONG)
    lost = journals(doomed[0])
    assert lost
    for path in lost:
        path.unlink()
    seen = await cut_off(rig, doomed[0], offer)
    assert rig.db(settle_all, Path(doomed[0].env["JOURNAL_DIR"])) == []
    open_now = len([row for row in seen if not row.whole])
    # A whole stream is settled once its last byte is out.
    rig.db(invariants.eventually, lambda: Reservation.objects.count() - open_now)
    past = timezone.now() - dt.timedelta(seconds=1)
    rig.db(lambda: Reservation.objects.update(lease_until=past))
    assert rig.db(reap) == open_now
    doomed[0].start()
    rig.case.runs = f"{STREAMS} streams"
    rig.settled(*seen)
    rows = rig.usage_rows()
    assert len(rows) == STREAMS
    assert all(row.cost_usd > 0 for row in rows)
    assert sum("estimated" in row.marks for row in rows) >= open_now


def mixed(rig: Rig, client: Client, dice: random.Random) -> Callable[[], object]:
    """Streams, whole answers, hits, failures and disconnects, by seed."""
    good = rig.provide("drip@2ms:30")
    bad = rig.provide("flaky@40+status-500", "flaky@60+drip@2ms+reset@7", "ok-12")
    shared = [rig.text() for _ in range(20)]

    def one() -> object:
        kind = dice.choice(["stream", "whole", "hit", "failing", "leaving"])
        stream = kind in ("stream", "leaving") or dice.random() < 0.5
        if kind == "failing":
            return rig.ask(client, bad, stream=stream)
        if kind == "hit":
            return rig.ask(client, good, stream=stream, text=dice.choice(shared))
        if kind == "leaving":
            cut = Cut(dice.randint(1, 6_000), reset=dice.random() < 0.5)
            return rig.ask(client, good, stream=True, cut=cut)
        return rig.ask(client, good, stream=stream)

    return one


async def test_ledger__random_kills_under_mixed_load__is_the_send_log_s(
    rig: Rig, doomed: list[Web]
) -> None:
    rig.webs = doomed
    dice = random.Random(1)
    seconds = REQUESTS / RATE
    async with Client() as client:
        make = mixed(rig, client, dice)
        async with under_load(make, RATE) as load:
            for _ in range(KILLS):
                await asyncio.sleep(seconds / KILLS * dice.uniform(0.3, 0.6))
                web = dice.choice(doomed)
                web.kill()
                rig.case.inject("kill -9")
                web.spawn()
                await asyncio.to_thread(web.wait)
            while len(client.rows) < REQUESTS:
                await asyncio.sleep(0.05)
        seen = load.rows
    rig.case.inject("disconnect", sum(row.broke == "cut" for row in seen))
    rig.case.runs = f"{len(seen)} mixed requests, {KILLS} kills"
    # Whoever the killed process was talking to may not have a row; all others do.
    rig.db(invariants.assert_all_ended)
    attempts = rig.demo.ended_attempts()
    rig.db(invariants.assert_nothing_lost, attempts)
    rig.db(invariants.assert_send_log_agrees, seen, attempts)
    exact = rig.db(invariants.assert_costs_are_the_send_log_s, attempts, PRICES)
    invariants.assert_errors_are_ours(row for row in seen if row.status)
    invariants.assert_no_crash(doomed)
    cut = rig.db(Usage.objects.filter(customer_id=rig.customer.pk).exclude(status="ok").count)  # fmt: skip
    hits = rig.db(Usage.objects.filter(customer_id=rig.customer.pk, cached=True).count)
    assert exact > 0
    assert hits > 0
    rig.case.figure("completed, exact to the micro-dollar", exact)
    rig.case.figure("cut or failed, within bounds", cut)
    rig.case.figure("hits", hits)
