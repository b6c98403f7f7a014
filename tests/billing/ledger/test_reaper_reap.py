"""Reservations whose process died are billed by what is known, and never twice."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from billing.accounting import reaper
from billing.ledger import Admit, Admitted, Claim, Settle, commit_now
from billing.ledger.types import Answer, Item
from billing.models import IdempotencyKey, Reservation, Usage
from tests.fixtures_ledger import FACTS, Desk, make_party, make_settle
from tests.invariants import assert_books_balance, assert_nothing_held


def admit(*items: Admit) -> list[Admitted]:
    answers = commit_now(items)
    admitted = [answer for answer in answers if isinstance(answer, Admitted)]
    assert len(admitted) == len(items)
    return admitted


def test_reap__lease_over__bills_the_prompt_and_says_so(desk: Desk) -> None:
    (held,) = admit(desk.admit(make_party("blue", "abc"), lease_s=-1))
    assert reaper.reap() == 1
    row = Usage.objects.get(pk=held.id)
    assert (row.status, row.error_code, row.source) == (
        "abandoned",
        "process_died",
        "reaper",
    )
    assert row.marks == ["estimated"]
    assert (row.prompt_tokens, row.completion_tokens) == (100, 0)
    assert row.cost_usd == Decimal("0.0001")
    assert (row.user_id, row.model, row.provider) == ("u", "m", "p")
    assert (row.team, row.key, row.customer_id) == (
        "blue",
        "abc",
        held.party.customer_id,
    )
    assert_nothing_held()


def test_reap__prompt_above_the_estimate__bills_the_estimate(desk: Desk) -> None:
    (held,) = admit(desk.admit(estimate=30, lease_s=-1))
    reaper.reap()
    row = Usage.objects.get(pk=held.id)
    assert row.cost_usd == Decimal("0.00003")
    assert row.provider_cost_usd == Decimal("0.0001")
    assert_nothing_held()


def test_settle_estate__sent_upstream__bills_what_was_passed_on(desk: Desk) -> None:
    held = admit(
        *(desk.admit(estimate=10**6, journal="j1") for _ in range(3)),
        desk.admit(journal="j2"),
    )
    came = {held[0].id: (0, 50, False), held[1].id: (1, 50, False)}
    assert reaper.settle_journal("j1", came).ended == 3
    first, second = (Usage.objects.get(pk=one.id) for one in held[:2])
    assert (first.provider, first.completion_tokens, first.source) == (
        "p",
        50,
        "journal",
    )
    assert first.cost_usd == Decimal("0.0002")
    assert (second.upstream_model, second.cost_usd) == ("um2", Decimal("0.0005"))
    # What was never sent leaves no row, and another process's is its own.
    assert Usage.objects.count() == 2
    assert [row.id for row in Reservation.objects.all()] == [held[3].id]
    assert_books_balance()
    assert reaper.settle_journal("j1", came).ended == 0


def test_settle_estate__route_past_the_last__is_billed_as_the_last(desk: Desk) -> None:
    (held,) = admit(desk.admit(estimate=10**6, journal="j"))
    reaper.settle_journal("j", {held.id: (7, 0, False)})
    assert Usage.objects.get().upstream_model == "um2"


def test_reap__request_had_an_idempotency_key__frees_it(desk: Desk) -> None:
    claim = Claim("c" * 64, "f" * 64)
    party = make_party()
    admit(desk.admit(party, lease_s=-1, claim=claim))
    Reservation.objects.update(facts={**FACTS, "claim": claim.id})
    reaper.reap()
    assert not IdempotencyKey.objects.exists()
    admit(desk.admit(party, claim=claim))


def test_reap__lease_runs__leaves_it_alone(desk: Desk) -> None:
    admit(desk.admit(lease_s=60))
    assert reaper.reap() == 0
    assert Reservation.objects.count() == 1


def test_reap__settled_by_its_process_after_all__bills_once(desk: Desk) -> None:
    (held,) = admit(desk.admit(lease_s=-1))
    assert reaper.reap() == 1
    assert reaper.reap() == 0
    late = commit_now([make_settle(held, 100)])
    assert getattr(late[0], "first", None) is False
    assert Usage.objects.count() == 1
    assert_nothing_held()


def test_reap__more_than_one_helping__ends_them_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "AT_A_TIME", 3)
    party = make_party()
    admit(*(desk.admit(party, lease_s=-1) for _ in range(6)))
    admit(desk.admit(party))
    assert reaper.reap() == 6
    assert Reservation.objects.count() == 1
    assert_books_balance()


def test_reap__facts_of_another_release__takes_no_other_with_it(desk: Desk) -> None:
    held = admit(*(desk.admit(lease_s=-n) for n in (3, 2, 1)))
    strange: dict[str, Any] = {k: v for k, v in FACTS.items() if k != "routes"}
    Reservation.objects.filter(pk=held[0].id).update(facts=strange)
    assert reaper.reap() == 3
    row = Usage.objects.get(pk=held[0].id)
    # Never silently free: the whole estimate, where the price is not known.
    assert row.cost_usd == Decimal("0.0001")
    assert row.marks == ["estimated"]
    assert_nothing_held()


def test_reap__row_that_the_ledger_refuses__is_left_and_the_others_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "AT_A_TIME", 2)
    held = admit(*(desk.admit(lease_s=-n) for n in (3, 2, 1)))

    def refuse(items: Sequence[Item]) -> list[Answer]:
        if any(isinstance(one, Settle) and one.admitted == stuck for one in items):
            raise psycopg.errors.CheckViolation("said")
        return commit_now(items)

    stuck = reaper._settlement(Reservation.objects.get(pk=held[0].id), None).admitted
    monkeypatch.setattr(reaper, "commit_now", refuse)
    assert reaper.reap() == 2
    assert reaper.reap() == 0
    assert [row.id for row in Reservation.objects.all()] == [held[0].id]
    assert_books_balance()


def test_reap__its_process_lives__leaves_it_to_it(desk: Desk) -> None:
    held = admit(
        desk.admit(lease_s=-1, journal="living"), desk.admit(lease_s=-1, journal="dead")
    )
    assert reaper.reap({"living"}) == 1
    assert [row.id for row in Reservation.objects.all()] == [held[0].id]
    assert reaper.reap() == 1
    assert_nothing_held()


def test_reap__its_process_lives_but_lost_it__is_billed_by_what_is_known(
    desk: Desk,
) -> None:
    lost = -reaper.LOST_S - 5
    held = admit(
        desk.admit(lease_s=lost, estimate=10**6, journal="living"),
        desk.admit(lease_s=lost, estimate=10**6, journal="living"),
    )
    came = {"living": {held[0].id: (1, 50, True)}}
    assert reaper.reap({"living"}, came.__getitem__) == 2
    known = Usage.objects.get()
    assert (known.source, known.upstream_model) == ("journal", "um2")
    assert (known.completion_tokens, known.cost_usd) == (50, Decimal("0.0005"))
    assert known.id == held[0].id
    # What its journal does not know was never sent, or withdrawn.
    assert_nothing_held()
    assert_books_balance()


@pytest.mark.parametrize(
    "facts",
    [
        {"endpoint": "x" * 41},
        {"trace_id": "t" * 500, "end_user": "e" * 500},
        {"prompt_version": 2**40},
        {"prompt_version": "three"},
        {"prompt_tokens": 2**40},
        {"prompt_tokens": 2**62, "flags": "none"},
    ],
)
def test_reap__row_that_its_columns_do_not_take__lands_plainer_with_a_mark(
    desk: Desk, facts: dict[str, Any]
) -> None:
    held = admit(*(desk.admit(lease_s=-n) for n in (3, 2, 1)))
    Reservation.objects.filter(pk=held[0].id).update(facts={**FACTS, **facts})
    assert reaper.reap() == 3
    row = Usage.objects.get(pk=held[0].id)
    assert (row.user_id, row.model, row.status) == ("u", "m", "abandoned")
    assert row.marks[:1] == ["estimated"]
    assert_nothing_held()
    assert_books_balance()
