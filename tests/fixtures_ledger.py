"""Ledgers on real connections, and a desk that writes admissions and settlements."""

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from billing.ledger import (
    Admit,
    Admitted,
    Charge,
    Claim,
    Hit,
    Ledger,
    Limit,
    Party,
    Settle,
)
from valuecanvas.core.db import epoch
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.ids import uuid7

COLUMNS = {"user_id": "u", "model": "m", "endpoint": "chat", "trace_id": ""}
FACTS = {
    **COLUMNS,
    "prompt_tokens": 100,
    # Provider, its model, micro-dollars per million tokens in and out.
    "routes": [["p", "um", 1_000_000, 2_000_000], ["q", "um2", 3_000_000, 4_000_000]],
}


def make_party(
    team: str = "", key: str = "", model: str = "", tags: tuple[str, ...] | None = None
) -> Party:
    """A customer never seen before."""
    return Party(uuid7(), team, key, model, tags)


def counted(party: Party) -> dict[str, Any]:
    """The facts of a request that is counted by model and tag."""
    if party.tags is None:
        return {}
    return {"model": party.model, "tags": party.tags}


def make_settle(admitted: Admitted, cost: int = 0, **charge: Any) -> Settle:
    """The settlement that bills `cost` micro-dollars for `admitted`."""
    charge.setdefault("provider_cost", cost)
    facts = {**COLUMNS, **counted(admitted.party)}
    return Settle(admitted, facts, 1, Charge(cost=cost, **charge))


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
        claim: Claim | None = None,
        **facts: Any,
    ) -> Admit:
        party = party or make_party()
        return Admit(
            id=id or uuid7(),
            party=party,
            quota=quota,
            limits=limits,
            estimate=estimate,
            epoch=self.epoch if epoch is None else epoch,
            lease_s=lease_s,
            facts={**FACTS, **counted(party), **facts},
            claim=claim,
        )

    def hit(self, party: Party | None = None, *, quota: int = 1000, epoch: int | None = None, **fields: Any) -> Hit:  # fmt: skip
        """A request that is answered from the cache."""
        party = party or make_party()
        return Hit(
            id=uuid7(),
            party=party,
            quota=quota,
            epoch=self.epoch if epoch is None else epoch,
            facts={**COLUMNS, **counted(party)},
            charge=Charge(saved=40, cached=True, source="cache"),
            **fields,
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
