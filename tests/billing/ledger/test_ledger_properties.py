"""Any order of admissions and settlements, against a plain model of what should come."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest

from billing.ledger import (
    Admitted,
    BudgetRefused,
    Limit,
    Party,
    QuotaRefused,
    Settle,
    Settled,
)
from billing.ledger.connection import connect
from billing.ledger.ledger import BatchWriter
from billing.ledger.types import Answer, Item
from tests.billing import days
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import (
    assert_books_balance,
    assert_nothing_held,
    assert_quota_kept,
    total,
)

QUOTA = 40
STEPS = 300


@dataclass
class Sheet:
    """What one scope should stand at, today and on earlier days together."""

    used: int = 0
    spent: int = 0
    reserved: int = 0


@dataclass
class Model:
    """The ledger as it would be on paper, one item at a time."""

    limits: dict[str, Limit]
    sheets: dict[str, Sheet] = field(default_factory=dict)

    def sheet(self, scope: str) -> Sheet:
        return self.sheets.setdefault(scope, Sheet())

    def fitting(self, party: Party, estimate: int) -> type:
        if self.sheet(party.scopes[0]).used >= QUOTA:
            return QuotaRefused
        for limit in self.of(party):
            sheet = self.sheet(limit.scope)
            if sheet.spent + sheet.reserved + estimate > limit.micros:
                return BudgetRefused
        return Admitted

    def of(self, party: Party) -> tuple[Limit, ...]:
        return tuple(self.limits[s] for s in party.scopes if s in self.limits)

    def admit(self, party: Party, estimate: int) -> None:
        for scope in party.scopes:
            self.sheet(scope).used += 1
            self.sheet(scope).reserved += estimate

    def payable(self, held: Admitted, cost: int) -> int:
        excess = cost - held.estimate
        if excess <= 0 or not held.limits:
            return cost
        sheets = [(x.micros, self.sheet(x.scope)) for x in held.limits]
        room = min(micros - sheet.spent - sheet.reserved for micros, sheet in sheets)
        return held.estimate + max(0, min(excess, room))

    def settle(self, held: Admitted, cost: int, *, refund: bool) -> None:
        for scope in held.party.scopes:
            self.sheet(scope).used -= int(refund)
            self.sheet(scope).spent += cost
            self.sheet(scope).reserved -= held.estimate


@dataclass
class Table:
    """Two writers that take turns, and everything that is still open."""

    desk: Desk
    model: Model
    dice: random.Random
    writers: list[tuple[BatchWriter, psycopg.Connection]]
    parties: list[Party]
    held: list[Admitted] = field(default_factory=list)
    ended: list[Settle] = field(default_factory=list)

    def commit(self, *items: Item) -> list[Answer]:
        writer, connection = self.dice.choice(self.writers)
        writer._read_at.clear()  # as if the last look at past days was long ago
        return writer.commit(connection, items)

    def admit(self) -> None:
        party, estimate = self.dice.choice(self.parties), self.dice.randint(0, 400)
        limits = self.model.of(party)
        item = self.desk.admit(party, quota=QUOTA, limits=limits, estimate=estimate)
        wanted = self.model.fitting(party, estimate)
        (answer,) = self.commit(item)
        assert type(answer) is wanted
        if isinstance(answer, Admitted):
            self.model.admit(party, estimate)
            self.held.append(answer)

    def draw(self) -> Settle:
        held = self.held.pop(self.dice.randrange(len(self.held)))
        kind = self.dice.random()
        if kind < 0.1:
            return Settle(held, {}, 1, None)
        if kind < 0.25:
            return make_settle(held, 0, refund=True)
        return make_settle(held, self.dice.randint(0, 2 * held.estimate))

    def settle(self) -> None:
        if not self.held:
            return
        item = self.draw()
        cost = item.charge.cost if item.charge else 0
        cost = self.model.payable(item.admitted, cost)
        assert self.commit(item) == [Settled(first=True, cost=cost)]
        refund = item.charge is None or item.charge.refund
        self.model.settle(item.admitted, cost, refund=refund)
        self.ended.append(item)

    def again(self) -> None:
        if self.ended:
            item = self.dice.choice(self.ended)
            assert self.commit(item) == [Settled(first=False, cost=0)]


@pytest.fixture(params=[1, 2, 3])
def table(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Table]:
    parties = [make_party(f"t{n % 2}", f"k{n % 3}") for n in range(4)]
    limits = [
        Limit("g:", "total", 30_000),
        Limit("t:t0", "day", 14_000),
        Limit("k:k1", "month", 4_000),
        Limit(parties[3].scopes[0], "day", 2_500),
    ]
    with connect() as left, connect() as right:
        yield Table(
            desk,
            Model({limit.scope: limit for limit in limits}),
            random.Random(request.param),
            [(BatchWriter(), left), (BatchWriter(), right)],
            parties,
        )


def test_ledger__random_items_one_by_one__answers_as_on_paper(table: Table) -> None:
    steps = [table.admit] * 5 + [table.settle] * 4 + [table.again]
    for _ in range(STEPS):
        table.dice.choice(steps)()
    assert_books_balance()
    assert_quota_kept(QUOTA)
    for scope, sheet in table.model.sheets.items():
        assert total(scope) == sheet.spent + sheet.reserved
    while table.held:
        table.settle()
    assert_nothing_held()


def test_ledger__random_batches_and_a_night_between__stays_in_every_limit(
    table: Table,
) -> None:
    limits = [*table.model.limits.values()]
    for number in range(STEPS // 10):
        items: list[Item] = [
            table.desk.admit(
                party := table.dice.choice(table.parties),
                quota=QUOTA,
                limits=table.model.of(party),
                estimate=table.dice.randint(0, 400),
            )
            for _ in range(table.dice.randint(1, 12))
        ]
        bills = table.dice.randint(0, len(table.held))
        items += [table.draw() for _ in range(bills)]
        table.dice.shuffle(items)
        answers = table.commit(*items)
        table.held += [answer for answer in answers if isinstance(answer, Admitted)]
        if number == STEPS // 20:
            # Reservations of that day are settled by a writer that still knows their day.
            while table.held:
                table.commit(table.draw())
            days.move(days.yesterday())
        assert_books_balance()
        for limit in limits:
            if limit.period == "month":
                # On the first of a month, the night before was in another one.
                month = days.today().replace(day=1)
                assert total(limit.scope, since=month) <= limit.micros
            elif limit.period != "day":
                assert total(limit.scope) <= limit.micros
    assert_quota_kept(QUOTA)
