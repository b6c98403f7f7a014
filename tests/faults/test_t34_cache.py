"""T34: many ask the same at once, values are planted, and tenants ask alike."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial

import pytest
import redis

from billing.models import Usage
from tests.faults import invariants
from tests.faults.conftest import Stage
from tests.faults.counts import FULL, either
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


async def test_cache__nobody_looks_who_asks_the_same__is_seen_to_be_many_calls(
    rig: Rig, stage: Stage
) -> None:
    """The twin with the guard off: the case above can fail."""
    offer = rig.provide("slow@50ms+drip@5ms:30")
    with unguarded(stage, "shared_calls") as rig.webs:
        async with Client() as client:
            seen = await crowd(rig, client, offer, rig.text())
        rig.case.inject("same request", CROWD)
        assert rig.reached(offer) == CROWD
        rig.case.figure("upstream calls", rig.reached(offer))
        rig.settled(*seen)


async def test_cache__leader_killed_in_its_stream__the_others_finish(
    rig: Rig, patient: list[Web]
) -> None:
    offer = rig.provide("drip@20ms:200")
    text = rig.text()
    rig.webs = patient
    first, second = patient
    async with Client() as client:
        leader = asyncio.create_task(
            rig.ask(client, offer, url=first.url, stream=True, text=text)
        )
        await rig.flying(offer)
        followers = asyncio.gather(
            *(
                rig.ask(client, offer, url=second.url, stream=n % 2 == 0, text=text)
                for n in range(CROWD // 2)
            )
        )
        await asyncio.sleep(0.7)
        first.kill()
        rig.case.inject("leader killed")
        killed_at = time.monotonic()
        lost = await leader
        seen = await followers
    # The stream itself takes four seconds.
    over = max(row.began + row.took for row in seen) - killed_at
    rig.case.figure("all finished after", f"{over:.1f} s")
    # Long before the lease is over: its connection is gone.
    assert not FULL or over < 20
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
    refused = refusals(rig)
    asked, served = await planted(rig, either(10, 1000))
    assert all(row.whole and row.text == text for row, text in served)
    assert {row.headers["x-valuecanvas-cache"] for row, _ in served} == {"miss"}
    rig.case.figure("looked at and refused", refusals(rig) - refused)
    # An empty value is led past without a word, a late reply of Redis too.
    assert refusals(rig) - refused > len(served) // 2
    rig.settled(*asked, *(row for row, _ in served))


async def test_cache__values_believed__are_seen_to_be_served(
    rig: Rig, stage: Stage
) -> None:
    """The twin with the guard off: the case above can fail."""
    with unguarded(stage, "place") as rig.webs:
        asked, served = await planted(rig, 10, "unguarded-place")
        wrong = [row for row, text in served if row.text != text]
        assert wrong
        rig.case.figure("served", len(wrong))
        rig.settled(*asked, *(row for row, _ in served))


async def planted(
    rig: Rig, count: int, prefix: str = "vc"
) -> tuple[list[Row], list[tuple[Row, str]]]:
    """Answers are stored, and others put in their place; what came first, and then.

    The second are rows and what they should say. None of them was a hit by right.
    """
    offer = rig.provide("echo")
    texts = [rig.text() for _ in range(count)]
    served = []
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client())
        it = stack.enter_context(redis.Redis.from_url(rig.engines.valkey.url))
        known = stored(it, prefix)
        for text in texts:
            assert await until_hit(rig, client, offer, text=text) == text
        asked, base = list(client.rows), rig.reached(offer)
        # Some of them may be late ones of others: that does no harm.
        names = sorted(stored(it, prefix) - known)
        assert len(names) >= len(texts)
        values = it.mget(names)
        for name, value, other in zip(
            names, values, [*values[1:], values[0]], strict=True
        ):
            evil = [other, flipped(value), b"{}", b"", value[::-1]]
            it.set(name, evil[rig.case.total % len(evil)], keepttl=True)
            rig.case.inject("planted value")
        for text in texts:
            served.append((await rig.ask(client, offer, text=text), text))
    hits = sum(row.headers["x-valuecanvas-cache"] == "hit" for row, _ in served)
    assert rig.reached(offer) == base + len(texts) - hits
    rig.case.runs = f"{len(texts)} answers"
    return asked, served


@contextmanager
def unguarded(stage: Stage, guard: str) -> Iterator[list[Web]]:
    """A process without that guard."""
    env = {**stage.env, "UNGUARDED": guard, "REDIS_PREFIX": f"unguarded-{guard}"}
    with webs([Web(stage.folder, env, "tests.faults.unguarded:application")]) as made:
        yield made


async def until_hit(
    rig: Rig, client: Client, offer: Offer, key: str = "", *, text: str
) -> str:
    """Ask until the answer is a stored one: storing is behind the answer's back."""
    async with asyncio.timeout(invariants.PATIENCE_S):
        while True:
            row = await rig.ask(client, offer, key, text=text)
            assert row.whole
            if row.headers["x-valuecanvas-cache"] == "hit":
                return row.text


def refusals(rig: Rig) -> int:
    """How many stored values the processes have refused so far."""
    return sum(web.log.count("cache.refused") for web in rig.webs)


def stored(it: redis.Redis, prefix: str) -> set[bytes]:
    """The names of all stored answers."""
    return set(it.scan_iter(f"{prefix}:cache:*", count=1000))


def flipped(value: bytes) -> bytes:
    """With one bit in the middle changed."""
    half = len(value) // 2
    return value[:half] + bytes([value[half] ^ 1]) + value[half + 1 :]


async def test_cache__two_tenants_ask_alike__never_share(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    text = rig.text()
    keys = [rig.new_customer(daily_requests=1000)[1] for _ in range(either(4, 50))]
    async with Client() as client:
        for key in keys:
            row = await rig.ask(client, offer, key, text=text)
            assert row.headers["x-valuecanvas-cache"] == "miss"
            rig.case.inject("same prompt of another tenant")
        assert rig.reached(offer) == len(keys)
        # Each has an answer of its own.
        for key in keys:
            await until_hit(rig, client, offer, key, text=text)
    rig.settled(*client.rows)
    assert rig.db(Usage.objects.filter(model=offer.model, cached=True).count) == len(keys)  # fmt: skip


async def test_cache__names_without_the_tenant__are_seen_to_be_shared(
    rig: Rig, stage: Stage
) -> None:
    """The twin with the guard off: the case above can fail."""
    offer = rig.provide("ok-12")
    text, other = rig.text(), rig.new_customer(daily_requests=10)[1]
    with unguarded(stage, "tenant") as rig.webs:
        async with Client() as client:
            await until_hit(rig, client, offer, text=text)
            row = await rig.ask(client, offer, other, text=text)
            assert row.headers["x-valuecanvas-cache"] == "hit"
            rig.case.inject("same prompt of another tenant")
        rig.settled(*client.rows)


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
