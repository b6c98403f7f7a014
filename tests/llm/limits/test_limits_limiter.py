"""The limiter on a real Redis: what it counts, refuses and gives back."""

import asyncio
from typing import Any

import pytest

from llm.limits.limiter import free
from llm.limits.types import LimitKind, LimitLeft, MinuteUse
from llm.limits.window import BUCKET_MS, BUCKETS
from tests.llm.limit_desk import OpenLimiter, Process, customer, open_process, process
from valuecanvas.core.storage.store import Script, Store

__all__ = ["open_process", "process"]
ALL_S = BUCKETS * BUCKET_MS / 1000


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of every round trip."""
    sizes: list[int] = []
    pipeline = Store._pipeline

    async def counted(store: Store, calls: Any) -> list[Any]:
        sizes.append(len(calls))
        return await pipeline(store, calls)

    monkeypatch.setattr(Store, "_pipeline", counted)
    return sizes


async def test_take__no_subject__asks_nobody(process: Process, batches: list[int]):
    taken = await process.taken(tokens=10**9)
    await process.limiter.give_back(taken, used_tokens=5)
    assert batches == []
    assert [taken.remaining(kind) for kind in LimitKind] == [None, None, None]


async def test_take__within_all_limits__tells_what_is_left(process: Process):
    who = customer(10, 1000, 2)
    taken = await process.taken(who, tokens=300)
    requests, tokens, at_once = (taken.remaining(kind) for kind in LimitKind)
    assert (requests.limit, requests.left) == (10, 9)
    assert (tokens.limit, tokens.left) == (1000, 700)
    assert 60 <= tokens.more_s <= tokens.full_s <= ALL_S
    assert at_once == LimitLeft(2, 1)


async def test_take__one_too_many__is_refused_by_the_limit_it_passed(
    process: Process,
):
    who = customer(requests=1)
    await process.taken(who)
    refused = await process.refused(who)
    assert (refused.subject, refused.kind) == (who, LimitKind.REQUESTS)
    assert (refused.limit, refused.left) == (1, 0)
    assert 50 < refused.retry_after_s <= ALL_S


async def test_take__more_tokens_than_the_whole_limit__never_fits(
    process: Process, batches: list[int]
):
    who = customer(tokens=100)
    refused = await process.refused(who, tokens=101)
    assert (refused.kind, refused.limit) == (LimitKind.TOKENS, 100)
    assert refused.retry_after_s is None
    assert batches == []
    assert (await process.taken(who, tokens=100)).remaining(LimitKind.TOKENS).left == 0


async def test_take__customer_and_key__go_in_one_round_trip(
    process: Process, batches: list[int]
):
    who, key = customer(requests=9), customer(tokens=1000, concurrent=3)
    await process.taken(who, key)
    batches.clear()
    taken, _ = await asyncio.gather(
        process.taken(who, key, tokens=10), process.store.command("PING")
    )
    assert batches == [3]
    batches.clear()
    await process.limiter.give_back(taken, used_tokens=5)
    assert batches == [1]  # of the customer nothing changes


async def test_take__both_with_limits__tells_the_tightest(process: Process):
    taken = await process.taken(customer(9, 50), customer(5, 70), tokens=10)
    assert taken.remaining(LimitKind.REQUESTS).limit == 5
    assert taken.remaining(LimitKind.TOKENS).limit == 50


async def test_take__key_refused__counts_nothing_for_the_customer(process: Process):
    who, key = customer(2, 100, 1), customer(requests=1)
    first = await process.taken(who, key, tokens=50)
    await process.limiter.give_back(first, used_tokens=50)
    assert (await process.refused(who, key, tokens=50)).subject == key
    await process.limiter.close()
    last = await process.taken(who, tokens=50)
    assert [last.remaining(kind).left for kind in LimitKind] == [0, 0, 0]


async def test_take__both_refused__tells_the_longer_wait(process: Process):
    who, key = customer(concurrent=1), customer(requests=1)
    await process.taken(who, key)
    refused = await process.refused(who, key)
    assert (refused.subject, refused.kind) == (key, LimitKind.REQUESTS)


async def test_take__another_process__counts_together(open_process: OpenLimiter):
    one, other = open_process(), open_process()
    who = customer(requests=2)
    await one.taken(who)
    assert (await other.taken(who)).remaining(LimitKind.REQUESTS).left == 0
    assert (await one.refused(who)).kind is LimitKind.REQUESTS


async def test_take__scripts_flushed__goes_on(process: Process):
    who = customer(requests=2)
    await process.taken(who)
    await process.store.command("SCRIPT", "FLUSH")
    assert (await process.taken(who)).remaining(LimitKind.REQUESTS).left == 0


async def test_give_back__tokens_used__corrects_the_window(process: Process):
    who = customer(tokens=1000)
    taken = await process.taken(who, tokens=900)
    await process.limiter.give_back(taken, used_tokens=100)
    assert (await process.taken(who, tokens=10)).remaining(LimitKind.TOKENS).left == 890


async def test_give_back__never_sent__gives_the_request_back(process: Process):
    who = customer(1, 100, 1)
    taken = await process.taken(who, tokens=100)
    await process.limiter.give_back(taken, used_tokens=None)
    again = await process.taken(who, tokens=100)
    assert [again.remaining(kind).left for kind in LimitKind] == [0, 0, 0]


async def test_give_back__answered__keeps_the_request(process: Process):
    who = customer(requests=1, concurrent=1)
    taken = await process.taken(who)
    await process.limiter.give_back(taken, used_tokens=0)
    assert (await process.refused(who)).kind is LimitKind.REQUESTS


async def test_give_back__twice__is_counted_once(process: Process):
    who = customer(3, 1000, 2)
    first, _ = await process.taken(who, tokens=100), await process.taken(who)
    for _ in range(2):
        await process.limiter.give_back(first, used_tokens=None)
    third = await process.taken(who)
    assert [third.remaining(kind).left for kind in LimitKind] == [1, 1000, 0]


async def test_give_back__nothing_to_change__asks_nobody(
    process: Process, batches: list[int]
):
    taken = await process.taken(customer(requests=5), tokens=10)
    batches.clear()
    await process.limiter.give_back(taken, used_tokens=10)
    assert batches == []


async def test_give_back__begun_before_the_next_request__is_ahead_of_it(
    process: Process,
):
    who = customer(concurrent=1)
    taken = await process.taken(who)
    for _ in range(20):
        process.limiter.give_back_soon(taken, used_tokens=1)
        await asyncio.sleep(0)  # no request comes in without the loop going round
        taken = await process.taken(who)


async def test_lease__of_a_process_that_died__ends_by_itself(
    open_process: OpenLimiter,
):
    dead, alive = open_process(), open_process()
    who = customer(concurrent=1)
    assert isinstance(await dead.take(who, lease_s=0.2), MinuteUse)
    assert (await alive.refused(who)).kind is LimitKind.CONCURRENT
    async with asyncio.timeout(30):
        while not isinstance(await alive.take(who), MinuteUse):
            await asyncio.sleep(0.01)


async def test_take__cancelled_under_way__leaves_no_lease(process: Process):
    who, key = customer(concurrent=1), customer(concurrent=1)
    for subjects in ((who,), (who, key)):
        asking = asyncio.ensure_future(process.take(*subjects))
        await asyncio.sleep(0)  # asked, and not answered
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await process.limiter.close()
    assert (await process.taken(who, key)).remaining(LimitKind.CONCURRENT).left == 0


async def test_keys__of_one_subject__expire_and_share_a_cluster_slot(process: Process):
    who = customer(5, 100, 2)
    await process.taken(who)
    keys = await process.store.command("KEYS", f"{process.store.prefix}:*")
    assert len(keys) == 2
    tag = b"{" + who.name.encode() + b"}"
    ttl = Script.make("return redis.call('PTTL', KEYS[1])")
    for key in keys:
        assert tag in key
        assert 0 < await process.store.run(ttl, key) <= 64_000


async def test_free__a_process_that_died__frees_its_slots_and_no_others(
    open_process: OpenLimiter,
):
    who = customer(concurrent=3)
    dead, living = open_process(owner="7-ab"), open_process(owner="7-abc")
    await dead.taken(who)
    await dead.taken(who)
    await living.taken(who)
    await living.refused(who)
    await free(living.store, who.name, "7-ab")
    assert (await living.taken(who)).remaining(LimitKind.CONCURRENT) == LimitLeft(3, 1)
