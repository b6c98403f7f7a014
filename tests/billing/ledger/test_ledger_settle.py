"""A reservation ends once: billed, refunded or given back, on the day that it is of."""

import asyncio
from dataclasses import replace
from decimal import Decimal

from billing.accounting.reaper import reap
from billing.ledger import (
    Admitted,
    Ledger,
    Limit,
    Peek,
    QuotaRefused,
    Settle,
    Settled,
    Stale,
    commit_now,
)
from billing.ledger.ledger import undo
from billing.models import Usage
from tests.billing import days
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_books_balance, assert_nothing_held, rows, total
from valuecanvas.core.db.db_thread import DbThread


def counters(scope: str) -> list[tuple[int, ...]]:
    """(days ago, used, spent, reserved) of a scope, newest first."""
    return rows(
        """SELECT (now() AT TIME ZONE 'UTC')::date - day, used, spent, reserved
           FROM billing_counter WHERE scope = left(%s, 1) AND scope_id = substr(%s, 3)
           AND (used, spent, reserved) <> (0, 0, 0) ORDER BY day DESC""",
        scope,
        scope,
    )


async def test_admit__everything_fits__holds_quota_and_money_in_every_scope(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party("blue", "abc")
    admitted = await ledger.put(desk.admit(party, estimate=250))
    assert isinstance(admitted, Admitted)
    assert (admitted.used, admitted.quota, admitted.estimate) == (1, 1000, 250)
    assert admitted.at.date() == admitted.day
    assert party.scopes == (f"c:{party.customer_id}", "g:", "t:blue", "k:abc")
    for scope in party.scopes:
        assert await db_thread.run(counters, scope) == [(0, 1, 0, 250)]
    await db_thread.run(assert_books_balance)


async def test_admit__old_configuration__is_stale_and_holds_nothing(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    old = desk.admit(epoch=desk.epoch - 1)
    new = desk.admit(epoch=desk.epoch + 1)
    assert await ledger.put(old) == Stale(desk.epoch)
    assert await ledger.put(new) == Stale(desk.epoch)
    await db_thread.run(assert_nothing_held)


async def test_admit__quota_used_up__tells_the_figures(
    desk: Desk, ledger: Ledger
) -> None:
    party = make_party()
    await ledger.put(desk.admit(party, quota=1))
    refused = await ledger.put(desk.admit(party, quota=1))
    assert isinstance(refused, QuotaRefused)
    assert (refused.used, refused.quota) == (1, 1)


async def test_peek__alone_and_among_others__tells_the_epoch(
    desk: Desk, ledger: Ledger
) -> None:
    assert await ledger.put(Peek()) == desk.epoch
    answers = commit_now([Peek(), desk.admit(), Peek()])
    assert answers[0] == answers[2] == desk.epoch


async def test_settle__billed__moves_reserved_to_spent(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party("blue", "abc")
    admitted = await ledger.put(desk.admit(party, estimate=250))
    bill = make_settle(admitted, 120, prompt_tokens=7, status="ok", marks=("suspect",))
    assert await ledger.put(bill) == Settled(first=True, cost=120)
    assert await db_thread.run(counters, "t:blue") == [(0, 1, 120, 0)]
    row = await db_thread.run(Usage.objects.get, pk=admitted.id)
    assert (row.cost_usd, row.team, row.key) == (Decimal("0.00012"), "blue", "abc")
    assert (row.prompt_tokens, row.marks, row.day) == (7, ["suspect"], admitted.day)
    await db_thread.run(assert_nothing_held)


async def test_settle__twice_in_one_batch_and_again__counts_once(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    admitted = await ledger.put(desk.admit())
    bill = make_settle(admitted, 100)
    again = make_settle(admitted, 90)
    answers = await asyncio.gather(*(ledger.put(bill) for _ in range(2)))
    assert [answer.first for answer in answers] == [True, False]
    assert await ledger.put(again) == Settled(first=False, cost=0)
    assert await db_thread.run(total, "g:") == 100
    await db_thread.run(assert_nothing_held)


async def test_settle__reaper_at_the_same_time__one_of_them_bills(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    for _ in range(10):
        held = [await ledger.put(desk.admit(lease_s=-1)) for _ in range(5)]
        bills = [ledger.put(make_settle(one, 100)) for one in held]
        *answers, reaped = await asyncio.gather(*bills, db_thread.run(reap))
        assert sum(answer.first for answer in answers) + reaped == len(held)
    assert await db_thread.run(Usage.objects.count) == 50
    await db_thread.run(assert_nothing_held)


async def test_settle__refunded__gives_the_unit_back_and_keeps_the_row(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party()
    admitted = await ledger.put(desk.admit(party, quota=1))
    bill = make_settle(admitted, 0, provider_cost=30, refund=True, status="error")
    assert (await ledger.put(bill)).first
    row = await db_thread.run(Usage.objects.get, pk=admitted.id)
    assert (row.marks, row.cost_usd) == (["refunded"], 0)
    assert row.provider_cost_usd == Decimal("0.00003")
    assert isinstance(await ledger.put(desk.admit(party, quota=1)), Admitted)
    await db_thread.run(assert_books_balance)


async def test_settle__never_begun__leaves_no_row(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    admitted = await ledger.put(desk.admit())
    assert (await ledger.put(Settle(admitted, {}, desk.epoch, None))).first
    assert await db_thread.run(Usage.objects.count) == 0
    await db_thread.run(assert_nothing_held)


async def test_settle__day_has_changed__refunds_and_bills_on_the_day_of_admission(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party()
    held = [await ledger.put(desk.admit(party, quota=2)) for _ in range(2)]
    day = await db_thread.run(days.yesterday)
    await db_thread.run(days.move, day)
    held = [replace(one, day=day) for one in held]
    await ledger.put(make_settle(held[0], 70))
    await ledger.put(make_settle(held[1], 0, refund=True))
    assert isinstance(await ledger.put(desk.admit(party, quota=1)), Admitted)
    assert await db_thread.run(counters, party.scopes[0]) == [
        (0, 1, 0, 100),
        (1, 1, 70, 0),
    ]
    await db_thread.run(assert_books_balance)


async def test_undo__midnight_in_between__gives_back_on_the_day_of_admission(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    """The undo of an admission knows only its own day, which may be the next."""
    party = make_party()
    item = desk.admit(party)
    await ledger.put(item)
    await db_thread.run(days.move, await db_thread.run(days.yesterday))
    await ledger.put(desk.admit(party))
    back = undo(item, await db_thread.run(days.today))
    assert back is not None
    assert (await ledger.put(back)).first
    assert await db_thread.run(counters, party.scopes[0]) == [(0, 1, 0, 100)]
    await db_thread.run(assert_books_balance)
    assert undo(back, await db_thread.run(days.today)) is None


async def test_settle__past_the_estimate__charges_what_the_budgets_have_left(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party("blue")
    limits = (Limit("t:blue", "day", 150), Limit("g:", "total", 10_000))
    admitted = await ledger.put(desk.admit(party, limits=limits))
    settled = await ledger.put(make_settle(admitted, 400))
    assert settled.cost == 150
    row = await db_thread.run(Usage.objects.get, pk=admitted.id)
    assert (row.marks, row.provider_cost_usd) == (["capped"], Decimal("0.0004"))
    await db_thread.run(assert_nothing_held)


async def test_settle__past_the_estimate_and_nothing_left__charges_the_estimate(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party("blue")
    limits = (Limit("t:blue", "day", 200),)
    held = [await ledger.put(desk.admit(party, limits=limits)) for _ in range(2)]
    costs = [(await ledger.put(make_settle(one, 101))).cost for one in held]
    assert costs == [100, 100]
    assert await db_thread.run(total, "t:blue") == 200
    await db_thread.run(assert_nothing_held)


async def test_settle__past_the_estimate_with_no_budget__charges_all(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    admitted = await ledger.put(desk.admit())
    assert (await ledger.put(make_settle(admitted, 5000))).cost == 5000
    await db_thread.run(assert_nothing_held)


async def test_settle__past_the_estimate_a_day_later__charges_the_estimate(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party("blue")
    limits = (Limit("t:blue", "day", 10_000),)
    admitted = await ledger.put(desk.admit(party, limits=limits))
    day = await db_thread.run(days.yesterday)
    await db_thread.run(days.move, day)
    late = make_settle(replace(admitted, day=day), 400)
    assert (await ledger.put(late)).cost == 100
    await db_thread.run(assert_nothing_held)


async def test_ledger__idle__is_healthy_and_empty(ledger: Ledger) -> None:
    assert ledger.healthy
    assert ledger.depth == 0
