"""Re-pricing: each unpriced request gets one correction, and the books still balance."""

import datetime as dt
import threading
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, connections
from django.utils import timezone

from billing.accounting import reconcile
from billing.ledger import Admitted, commit_now
from billing.models import Counter, Usage
from billing.pricing import corrections, reprice
from tests.fixtures_billing import LONG_AGO, make_budget, make_price
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.tampering import tampering
from valuecanvas.core import money
from valuecanvas.core.db import epoch
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.django_db(transaction=True)
PAIR = ("somewhere", "a-model")
STAND_IN = 10  # micro-dollars a token


class Unpriced:
    """Makes requests of 100 + 50 tokens that were billed at the stand-in price."""

    def __init__(self) -> None:
        self.party = make_party("a-team", "a-key")

    def __call__(self, *, days_ago: int = 0, **charge: Any) -> Usage:
        [held] = commit_now([Desk(epoch.current()).admit(self.party, estimate=5000)])
        assert isinstance(held, Admitted)
        charge.setdefault("marks", ("unpriced",))
        charge.setdefault("provider", PAIR[0])
        charge.setdefault("upstream_model", PAIR[1])
        cost = charge.pop("cost", 150 * STAND_IN)
        commit_now([make_settle(held, cost, prompt_tokens=100, completion_tokens=50, **charge)])  # fmt: skip
        if days_ago:
            self._move(held, days_ago)
        return Usage.objects.get(pk=held.id)

    def _move(self, held: Admitted, days: int) -> None:
        """As if it had been on an earlier day: the row and its counters."""
        row = Usage.objects.get(pk=held.id)
        back = dt.timedelta(days=days)
        for counter in Counter.objects.filter(day=held.day):
            day = held.day - back
            earlier, _ = Counter.objects.get_or_create(
                key=f"{counter.scope}:{counter.scope_id}:{day}",
                scope=counter.scope,
                scope_id=counter.scope_id,
                day=day,
            )
            micros = money.to_micros(row.cost_usd)
            for one, sign in ((counter, -1), (earlier, 1)):
                one.used += sign
                one.spent += sign * micros
                one.save()
        row.day -= back
        row.created_at -= back
        with tampering():
            row.save()


@pytest.fixture
def unpriced() -> Unpriced:
    return Unpriced()


def price(usd: str, **fields: Any) -> None:
    """`usd` per million tokens, input and output alike: micro-dollars a token."""
    make_price(*PAIR, usd=usd, output=usd, **fields)


def spent(day: dt.date) -> set[int]:
    return set(Counter.objects.filter(day=day).values_list("spent", flat=True))


def balance() -> bool:
    return reconcile.check(None).ok


def test_apply__cheaper__given_back_on_the_request_s_day(unpriced: Unpriced) -> None:
    row = unpriced(days_ago=3)
    assert balance()
    price("2")
    result = reprice.apply()
    assert (result.requests, result.delta) == (1, -1200)
    correction = Usage.objects.get(corrects=row.pk)
    assert correction.cost_usd == correction.provider_cost_usd == Decimal("-0.0012")
    assert (correction.status, correction.source) == ("correction", "reprice")
    assert (correction.day, correction.marks) == (row.day, [])
    assert correction.created_at > row.created_at
    for name in corrections.COPIED:
        assert getattr(correction, name) == getattr(row, name), name
    assert (correction.prompt_tokens, correction.completion_tokens) == (0, 0)
    assert spent(row.day) == {300}
    assert balance()


def test_apply__the_row_itself__is_not_altered(unpriced: Unpriced) -> None:
    row = unpriced()
    price("2")
    reprice.apply()
    [before] = Usage.objects.filter(pk=row.pk).values()
    assert before == {name: getattr(row, name) for name in before}


def test_apply__dearer__charged_today(unpriced: Unpriced) -> None:
    row = unpriced(days_ago=3)
    price("14")
    result = reprice.apply()
    assert result.delta == 600
    correction = Usage.objects.get(corrects=row.pk)
    assert correction.day == timezone.now().date()
    assert spent(row.day) == {1500}
    assert spent(correction.day) == {600}
    assert balance()


def test_apply__twice__corrects_once(unpriced: Unpriced) -> None:
    row = unpriced()
    price("2")
    assert reprice.apply().requests == 1
    assert reprice.apply().requests == 0
    assert reprice.preview().requests == 0
    correction = Usage.objects.get(corrects=row.pk)
    correction.pk = uuid7()
    with pytest.raises(IntegrityError, match="llm_usage_corrected_pkey"):
        correction.save(force_insert=True)


def test_apply__price_equals_the_stand_in__still_noted(unpriced: Unpriced) -> None:
    row = unpriced()
    price("10")
    assert reprice.apply().delta == 0
    assert Usage.objects.get(corrects=row.pk).cost_usd == 0
    assert reprice.preview().requests == 0


def test_apply__several_prices__the_one_of_the_time_counts(unpriced: Unpriced) -> None:
    early, late = unpriced(days_ago=20), unpriced()
    price("1")
    price("3", effective_from=timezone.now() - dt.timedelta(days=10))
    price("9", effective_from=timezone.now() + dt.timedelta(days=1))
    reprice.apply()
    costs = {row.corrects: row.cost_usd for row in Usage.objects.exclude(corrects=None)}
    assert costs == {early.pk: Decimal("-0.00135"), late.pk: Decimal("-0.00105")}
    assert balance()


def test_apply__price_begins_later__request_waits(unpriced: Unpriced) -> None:
    unpriced(days_ago=3)
    unpriced(upstream_model="another")
    price("1", effective_from=timezone.now() - dt.timedelta(days=1))
    result = reprice.apply()
    assert result.requests == 0
    assert result.waiting == {PAIR: 1, (PAIR[0], "another"): 1}


def test_apply__rows_that_are_not_its_business__left_alone(unpriced: Unpriced) -> None:
    unpriced(marks=())
    unpriced(marks=("estimated",))
    hit = unpriced(cost=0)
    with tampering():
        Usage.objects.filter(pk=hit.pk).update(cached=True)
    price("1")
    result = reprice.apply()
    assert (result.requests, result.waiting) == (0, {})


def test_apply__only_some_models__others_wait(unpriced: Unpriced) -> None:
    unpriced()
    unpriced(upstream_model="another")
    price("1")
    make_price(PAIR[0], "another")
    assert reprice.apply([(PAIR[0], "another")]).requests == 1
    assert reprice.preview().requests == 1
    assert reprice.apply([]).requests == 0


def test_apply__refunded__only_our_own_cost_changes(unpriced: Unpriced) -> None:
    row = unpriced(cost=0, provider_cost=1500, refund=True)
    price("2")
    reprice.apply()
    correction = Usage.objects.get(corrects=row.pk)
    assert correction.cost_usd == 0
    assert correction.provider_cost_usd == Decimal("-0.0012")
    assert balance()


def test_apply__cached_tokens__at_their_price(unpriced: Unpriced) -> None:
    row = unpriced(cached_tokens=60)
    price("2", cached_input_usd=Decimal(1))
    reprice.apply()
    wanted = Decimal(40 * 2 + 60 * 1 + 50 * 2) / 1_000_000 - row.cost_usd
    assert Usage.objects.get(corrects=row.pk).cost_usd == wanted


def test_apply__tokens_written_to_a_cache__at_their_price(unpriced: Unpriced) -> None:
    row = unpriced(cached_tokens=60, cache_write_tokens=30)
    price("2", cached_input_usd=Decimal(1), cache_write_usd=Decimal(4))
    reprice.apply()
    wanted = Decimal(10 * 2 + 60 * 1 + 30 * 4 + 50 * 2) / 1_000_000 - row.cost_usd
    assert Usage.objects.get(corrects=row.pk).cost_usd == wanted


@pytest.mark.parametrize("period", ["day", "month", "total"])
def test_apply__dearer_than_a_budget_has_room__charged_in_part(
    unpriced: Unpriced, period: str
) -> None:
    rows = [unpriced(), unpriced()]
    make_budget(limit="0.0037", period=period)
    price("14")
    result = reprice.apply()
    assert result.delta == 3700 - 3000
    [line] = result.lines.values()
    assert line.uncharged == 500
    first, second = (Usage.objects.get(corrects=row.pk) for row in rows)
    assert (first.cost_usd, first.marks) == (Decimal("0.0006"), [])
    assert (second.cost_usd, second.marks) == (Decimal("0.0001"), ["capped"])
    assert second.provider_cost_usd == Decimal("0.0006")
    assert balance()


def test_apply__budget_s_earlier_days__count_against_its_room(
    unpriced: Unpriced,
) -> None:
    unpriced(days_ago=40)
    make_budget(limit="0.0016", period="total")
    price("14")
    assert reprice.apply().delta == 100
    assert balance()


def test_apply__budget_overdrawn_already__charges_nothing(unpriced: Unpriced) -> None:
    unpriced()
    make_budget(limit="0.001")
    price("14")
    assert reprice.apply().delta == 0
    assert balance()


def test_apply__closed_books__left_alone(
    unpriced: Unpriced, settings: LazySettings
) -> None:
    unpriced(days_ago=settings.USAGE_RETENTION_DAYS)
    price("2")
    assert reprice.preview().requests == 0


def test_apply__many_requests__in_lists_to_the_end(
    unpriced: Unpriced, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [unpriced() for _ in range(5)]
    with tampering():
        Usage.objects.update(created_at=rows[0].created_at)  # nothing to order by
    monkeypatch.setattr(reprice, "AT_A_TIME", 2)
    price("2")
    part = reprice.apply(most=1)
    assert (part.requests, part.more) == (2, True)
    rest = reprice.apply()
    assert (rest.requests, rest.more) == (3, False)
    assert balance()


def test_apply__two_at_the_same_time__each_request_corrected_once(
    unpriced: Unpriced, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(12):
        unpriced()
    monkeypatch.setattr(reprice, "AT_A_TIME", 3)
    price("2")
    start = threading.Barrier(3)
    counts: list[int] = []

    def run() -> None:
        start.wait()
        counts.append(reprice.apply().requests)
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 12
    assert spent(timezone.now().date()) == {12 * 300}
    assert balance()


def test_apply__booked_by_somebody_else_meanwhile__left_out(unpriced: Unpriced) -> None:
    row = unpriced()
    price("2", effective_from=LONG_AGO)
    stale = corrections.PriceCorrection(row, 1500, -1200, -1200)
    assert reprice.apply().requests == 1
    assert corrections.book([stale]) == []
    assert balance()


def test_apply__midnight_while_waiting__books_on_the_new_day(
    unpriced: Unpriced, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpriced()
    price("14")
    real = corrections._clock
    readings: list[dt.datetime] = []

    def clock() -> dt.datetime:
        """The first reading is from before midnight."""
        at = real() - dt.timedelta(days=not readings)
        readings.append(at)
        return at

    monkeypatch.setattr(corrections, "_clock", clock)
    assert reprice.apply().delta == 600
    assert len(readings) == 4
    assert balance()
