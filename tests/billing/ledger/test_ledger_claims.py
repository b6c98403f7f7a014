"""Idempotency keys: one first use, also in a race; then its answer, until it expires."""

import asyncio
from dataclasses import replace

import pytest

from billing.ledger import (
    Admitted,
    Busy,
    Claim,
    Ledger,
    Mismatch,
    QuotaRefused,
    Replay,
    Settle,
    Settled,
    Stale,
    Stored,
)
from billing.models import IdempotencyKey, Usage
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_books_balance, assert_nothing_held, rows
from tests.races.rounds import ROUNDS
from valuecanvas.core.db.db_thread import DbThread

CLAIM = Claim("c" * 64, "f" * 64)
ANSWER = Stored(200, {"x-a": "b"}, b'{"a": "\xff"}')
EXPIRE = "UPDATE billing_idempotency SET expires_at = now() RETURNING id"


async def test_admit__key_used_by_nobody__claims_it(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    admitted = await ledger.put(desk.admit(claim=CLAIM))
    row = await db_thread.run(IdempotencyKey.objects.get)
    assert (row.id, row.fingerprint, row.done) == (CLAIM.id, CLAIM.fingerprint, False)
    assert str(row) == str(admitted.id)


async def test_admit__key_in_use__is_busy_and_takes_nothing(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party()
    await ledger.put(desk.admit(party, claim=CLAIM))
    for item in (desk.admit(party, claim=CLAIM), desk.hit(party, claim=CLAIM)):
        assert await ledger.put(item) == Busy()
    other = replace(CLAIM, fingerprint="e" * 64)
    assert await ledger.put(desk.admit(party, claim=other)) == Mismatch()
    await db_thread.run(assert_books_balance)


async def test_settle__with_an_answer__replays_it_from_then_on(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party()
    admitted = await ledger.put(desk.admit(party, quota=1, claim=CLAIM))
    bill = replace(make_settle(admitted, 5), claim=CLAIM, answer=ANSWER)
    await ledger.put(bill)
    again = await ledger.put(desk.admit(party, quota=1, claim=CLAIM))
    assert again == Replay(str(admitted.id))
    other = replace(CLAIM, fingerprint="e" * 64)
    assert await ledger.put(desk.admit(party, claim=other)) == Mismatch()
    assert await db_thread.run(Usage.objects.count) == 1
    await db_thread.run(assert_nothing_held)


@pytest.mark.parametrize("charged", [True, False])
async def test_settle__without_an_answer__frees_the_key(
    desk: Desk, ledger: Ledger, charged: bool
) -> None:
    party = make_party()
    admitted = await ledger.put(desk.admit(party, claim=CLAIM))
    bill = make_settle(admitted, 0, refund=True)
    charge = bill.charge if charged else None
    await ledger.put(Settle(admitted, bill.facts, 1, charge, claim=CLAIM))
    assert isinstance(await ledger.put(desk.admit(party, claim=CLAIM)), Admitted)


async def test_settle__by_somebody_who_lost_the_key__leaves_it_to_its_holder(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party()
    first = await ledger.put(desk.admit(party, claim=CLAIM))
    await ledger.put(Settle(first, {}, 1, None, claim=CLAIM))
    second = await ledger.put(desk.admit(party, claim=CLAIM))
    for answer in (None, ANSWER):
        late = replace(make_settle(first, 5), claim=CLAIM, answer=answer)
        assert await ledger.put(late) == Settled(first=False, cost=0)
    row = await db_thread.run(IdempotencyKey.objects.get)
    assert (row.request_id, row.done) == (second.id, False)


@pytest.mark.parametrize("done", [True, False])
async def test_admit__key_expired__is_claimed_anew(
    desk: Desk, ledger: Ledger, db_thread: DbThread, done: bool
) -> None:
    party = make_party()
    admitted = await ledger.put(desk.admit(party, claim=CLAIM))
    if done:
        bill = replace(make_settle(admitted, 5), claim=CLAIM, answer=ANSWER)
        await ledger.put(bill)
    await db_thread.run(rows, EXPIRE)
    claim = replace(CLAIM, fingerprint="e" * 64)
    second = await ledger.put(desk.admit(party, claim=claim))
    assert isinstance(second, Admitted)
    row = await db_thread.run(IdempotencyKey.objects.get)
    assert (row.request_id, row.done, row.body) == (second.id, False, None)


async def test_admit__refused__claims_nothing(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    refused = await ledger.put(desk.admit(quota=0, claim=CLAIM))
    assert isinstance(refused, QuotaRefused)
    stale = await ledger.put(desk.admit(epoch=0, claim=CLAIM))
    assert isinstance(stale, Stale)
    assert not await db_thread.run(IdempotencyKey.objects.exists)


async def test_claim__50_twins_at_two_ledgers__one_is_admitted(
    desk: Desk, pair: tuple[Ledger, Ledger], db_thread: DbThread
) -> None:
    for number in range(ROUNDS):
        party, claim = make_party(), Claim(f"{number:064}", "f" * 64)
        twins = [pair[n % 2].put(desk.admit(party, claim=claim)) for n in range(50)]
        answers = await asyncio.gather(*twins)
        (first,) = (one for one in answers if isinstance(one, Admitted))
        assert answers.count(Busy()) == 49
        bill = replace(make_settle(first, 5), claim=claim, answer=ANSWER)
        await pair[0].put(bill)
        twins = [pair[n % 2].put(desk.admit(party, claim=claim)) for n in range(4)]
        assert await asyncio.gather(*twins) == [Replay(str(first.id))] * 4
    await db_thread.run(assert_nothing_held)
    assert await db_thread.run(Usage.objects.count) == ROUNDS


async def test_hit__answered_from_the_cache__takes_a_unit_and_costs_nothing(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party("blue", "abc")
    hit = desk.hit(party, quota=1)
    admitted = await ledger.put(hit)
    assert (admitted.used, admitted.estimate) == (1, 0)
    row = await db_thread.run(Usage.objects.get)
    assert (row.cached, row.cost_usd, row.source) == (True, 0, "cache")
    assert (row.team, row.key, str(row.saved_usd)) == ("blue", "abc", "0.000040")
    refused = await ledger.put(desk.hit(party, quota=1))
    assert isinstance(refused, QuotaRefused)
    assert await ledger.put(desk.hit(epoch=0)) == Stale(desk.epoch)
    await db_thread.run(assert_nothing_held)


async def test_hit__with_a_key__stores_its_answer_at_once(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party()
    hits = [desk.hit(party, claim=CLAIM, answer=ANSWER) for _ in range(3)]
    answers = await asyncio.gather(*(ledger.put(hit) for hit in hits))
    assert isinstance(answers[0], Admitted)
    assert answers[1:] == [Replay(str(hits[0].id))] * 2
    assert await ledger.put(desk.admit(party, claim=CLAIM)) == answers[1]
    await db_thread.run(assert_nothing_held)
