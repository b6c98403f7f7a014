"""Ledgers on real connections, and a desk that writes admissions and settlements."""

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from billing.ledger import Admit, Admitted, Charge, Ledger, Limit, Party, Settle
from valuecanvas.core import epoch
from valuecanvas.core.db_thread import DbThread
from valuecanvas.core.ids import uuid7

COLUMNS = {"user_id": "u", "model": "m", "endpoint": "chat", "trace_id": ""}
FACTS = {
    **COLUMNS,
    "provider": "p",
    "upstream_model": "um",
    "prompt_tokens": 100,
    "input_rate": 1_000_000,
}


def make_party(team: str = "", key: str = "") -> Party:
    """A customer never seen before."""
    return Party(uuid7(), team, key)


def make_settle(admitted: Admitted, cost: int = 0, **charge: Any) -> Settle:
    """The settlement that bills `cost` micro-dollars for `admitted`."""
    charge.setdefault("provider_cost", cost)
    return Settle(admitted, COLUMNS, 1, Charge(cost=cost, **charge))


@dataclass(frozen=True)
class Desk:
    """Writes admissions on the configuration's committed epoch."""

    epoch: int

    def admit(
        self,
        party: Party | None = None,
        *,
        quota: int = 1000,
        limits: tuple[Limit, ...] = (),
        estimate: int = 100,
        epoch: int | None = None,
        lease_s: float = 60.0,
        id: uuid.UUID | None = None,
    ) -> Admit:
        return Admit(
            id=id or uuid7(),
            party=party or make_party(),
            quota=quota,
            limits=limits,
            estimate=estimate,
            epoch=self.epoch if epoch is None else epoch,
            lease_s=lease_s,
            facts=FACTS,
        )


@pytest.fixture
def desk(transactional_db: None) -> Desk:
    return Desk(epoch.current())


@pytest.fixture
async def open_ledger(db_thread: DbThread) -> AsyncIterator[Callable[[], Ledger]]:
    """Opens ledgers, each with a thread and a connection of its own."""
    opened: list[Ledger] = []

    def open_one() -> Ledger:
        opened.append(Ledger())
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Callable[[], Ledger]) -> Ledger:
    return open_ledger()


@pytest.fixture
def pair(open_ledger: Callable[[], Ledger]) -> tuple[Ledger, Ledger]:
    """Two ledgers that know nothing of each other, as in two processes."""
    return open_ledger(), open_ledger()
