"""T34: many ask the same at once, values are planted, and tenants ask alike."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial

import pytest
import redis

from billing.models import Usage
from tests.faults import invariants
from tests.faults.conftest import Stage
from tests.faults.counts import either
from tests.faults.rig import Offer, Rig
from tests.faults.toxic import Latency, Timeout
from tests.faults.traffic import Client, Row, at_once
from tests.faults.web import Web, webs

CROWD = either(60, 200)
ROUNDS = either(2, 20)


@pytest.fixture(scope="module")
def patient(stage: Stage) -> Iterator[list[Web]]:
    """Two processes that wait for Redis: one that gave it up would call for itself."""
    env = {
        **stage.env,
        "REDIS_PREFIX": f"patient-{secrets.token_hex(4)}",
        "REDIS_TIMEOUT_MS": "5000",
        "JOURNAL_DIR": str(stage.folder / "patient"),
        "COALESCE_LEASE_S": str(either(3, 30)),
    }
    with webs([Web(stage.folder, env), Web(stage.folder, env)]) as running:
        yield running


async def crowd(rig: Rig, client: Client, offer: Offer, text: str) -> list[Row]:
    """The same request by many, half of them streamed, at both processes."""
    return await at_once(
        [
            partial(rig.ask, client, offer, stream=n // 2 % 2 == 0, text=text)
            for n in range(CROWD)
        ]
    )


async def test_cache__many_ask_the_same_at_once__is_one_call_billed_once(
    rig: Rig, patient: list[Web]
) -> None:
    rig.webs = patient
    offer = rig.provide("slow@50ms+drip@5ms:30")
    async with Client() as client:
        for number in range(ROUNDS):
            seen = await crowd(rig, client, offer, rig.text())
            rig.case.inject("same request", CROWD)
            odd = [(x.status, x.code, x.broke) for x in seen if not x.whole]
            assert odd == []
            assert {row.text for row in seen} == {seen[0].text}
            assert rig.reached(offer) == number + 1
    rig.settled(*client.rows)
    paid = [row for row in rig.usage_rows() if row.cost_usd > 0]
    assert len(paid) == ROUNDS
    assert rig.counter()[0] == CROWD * ROUNDS
    rig.case.runs = f"{ROUNDS} rounds of {CROWD}"


async def test_cache__leader_killed_in_its_stream__the_others_finish(
    rig: Rig, patient: list[Web]
) -> None:
    offer = rig.provide("drip@20ms:100")
    text = rig.text()
    rig.webs = patient
    first, second = patient
    async with Client() as client:
        leader = asyncio.create_task(
            rig.ask(client, offer, url=first.url, stream=True, text=text)
        )
        while not rig.in_flight(offer):
            await asyncio.sleep(0.01)
        followers = asyncio.gather(
            *(
                rig.ask(client, offer, url=second.url, stream=n % 2 == 0, text=text)
                for n in range(CROWD // 2)
            )
        )
        await asyncio.sleep(0.7)
        first.kill()
        rig.case.inject("leader killed")
        lost = await leader
        seen = await followers
    first.start()
    assert not lost.whole
    assert [row.whole for row in seen] == [True] * len(seen), [
        (row.status, row.code, row.broke) for row in seen if not row.whole
    ]
    assert {row.text for row in seen} == {seen[0].text}
    assert rig.reached(offer) <= 2
    rig.case.runs = f"{len(seen)} followers"
    rig.case.figure("upstream calls", rig.reached(offer))
    rig.settled(lost, *seen)


async def test_cache__values_planted_and_swapped__are_never_served(rig: Rig) -> None:
    """Whoever can write to Redis cannot put words into the gateway's mouth."""
    offer = rig.provide("echo")
    texts = [rig.text() for _ in range(either(10, 500))]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client())
        it = stack.enter_context(redis.Redis.from_url(rig.engines.valkey.url))
        known = len(stored(it))
        for text in texts:
            assert (await rig.ask(client, offer, text=text)).text == text
        # They are stored behind the answer's back.
        invariants.eventually(lambda: len(stored(it)) - known != len(texts))
        keys = stored(it)
        values = it.mget(keys)
        swapped = [*values[1:], values[0]]
        for key, value, other in zip(keys, values, swapped, strict=True):
            planted = [other, flipped(value), b"{}", b"", value[::-1]]
            it.set(key, planted[rig.case.total % len(planted)], keepttl=True)
            rig.case.inject("planted value")
        for text in texts:
            row = await rig.ask(client, offer, text=text)
            assert (row.whole, row.text) == (True, text)
            assert row.headers["x-valuecanvas-cache"] == "miss"
    assert rig.reached(offer) == 2 * len(texts)
    rig.case.runs = f"{len(texts)} answers"
    rig.settled(*client.rows)


def stored(it: redis.Redis) -> list[bytes]:
    """The names of all stored answers."""
    return list(it.scan_iter("vc:cache:*", count=1000))


def flipped(value: bytes) -> bytes:
    """With one bit in the middle changed."""
    half = len(value) // 2
    return value[:half] + bytes([value[half] ^ 1]) + value[half + 1 :]


async def test_cache__two_tenants_ask_alike__never_share(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    text = rig.text()
    keys = [rig.new_customer(daily_requests=10)[1] for _ in range(either(4, 50))]
    async with Client() as client:
        for key in keys:
            row = await rig.ask(client, offer, key, text=text)
            assert row.headers["x-valuecanvas-cache"] == "miss"
            rig.case.inject("same prompt of another tenant")
        for key in keys:
            row = await rig.ask(client, offer, key, text=text)
            assert row.headers["x-valuecanvas-cache"] == "hit"
    assert rig.reached(offer) == len(keys)
    rig.settled(*client.rows)
    assert rig.db(Usage.objects.filter(model=offer.model, cached=True).count) == len(keys)  # fmt: skip


async def test_cache__reads_cancelled_and_late__mix_no_answers_up(rig: Rig) -> None:
    """A reply that comes after its reader has gone must not be another's."""
    offer = rig.provide("echo")
    count = either(60, 1000)
    texts = [rig.text() for _ in range(either(6, 20))]
    toxic = rig.toxics["redis"]
    before = toxic.injected.total()

    async def one(client: Client, number: int) -> tuple[Row, str]:
        text = texts[number % len(texts)]
        give_up = 0.02 if number % 3 == 0 else None
        row = await rig.ask(client, offer, stream=number % 2 == 0, text=text, give_up_s=give_up)  # fmt: skip
        return row, text

    async with Client() as client:
        for start in range(0, count, 20):
            fault = Latency(0.08) if start // 20 % 2 else Timeout()
            toxic.set(fault)
            pairs = await asyncio.gather(
                *(one(client, number) for number in range(start, start + 20))
            )
            toxic.clear()
            for row, text in pairs:
                assert row.broke == "gave up" or row.text == text
        for text in texts:
            row = await rig.ask(client, offer, text=text)
            assert (row.whole, row.text) == (True, text)
    rig.case.inject("late or lost Redis reply", toxic.injected.total() - before)
    rig.case.runs = f"{count} requests"
    rig.settled(*client.rows)
