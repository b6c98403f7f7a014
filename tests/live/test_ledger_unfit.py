"""What callers see where the ledger cannot write their request: an error, and nothing taken."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from billing.ledger import Admit, Check, Hit, Ledger
from llm.admission import ledger_items
from llm.runtime import Runtime
from tests.invariants import assert_books_balance
from tests.live.inside import ask
from tests.live.world import World, unique

pytestmark = pytest.mark.live

Spoil = Callable[[Any], Any]


def facts(item: Any, **fields: Any) -> Any:
    return replace(item, facts={**item.facts, **fields})


# What the ledger's statements or its JSON cannot take, by the class of the error.
WRONG: dict[str, Spoil] = {
    "22003 counter": lambda item: replace(item, estimate=2**63),
    "22P05 facts": lambda item: facts(item, trace_id="a\0"),
    "22P02 key": lambda item: replace(item, party=replace(item.party, key="a\0")),
    "23502 lease": lambda item: replace(item, lease_s=None),
    "no json": lambda item: replace(item, estimate=2**70),
    "no text": lambda item: facts(item, trace_id="\ud800"),
}
WRONG_HITS: dict[str, Spoil] = {
    "22001 column": lambda item: facts(item, trace_id="a" * 500),
    "22P05 facts": lambda item: facts(item, trace_id="a\0"),
    "23502 column": lambda item: facts(item, model=None),
    "no json": lambda item: facts(item, prompt_version=2**70),
}


async def refused(world: World, gateway: Runtime, model: str, text: str) -> None:
    answer = await ask(world, gateway, model, text=text)
    assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
    assert answer.error["type"] == "service_unavailable_error"
    await gateway.limiter.flush()


@pytest.mark.parametrize("name", WRONG)
async def test_admission__that_cannot_be_written__is_refused_and_takes_nothing(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    indoors.customer.concurrent_requests = 1
    indoors.db(indoors.customer.save)
    served, text, admit = (
        indoors.serve("ok"),
        unique("Say hello to"),
        ledger_items.admit,
    )

    def spoiled(*given: Any, **named: Any) -> Admit:
        made: Admit = WRONG[name](admit(*given, **named))
        return made

    with monkeypatch.context() as patched:
        patched.setattr(ledger_items, "admit", spoiled)
        for _ in "12":
            await refused(indoors, gateway, served.model, text)
    assert indoors.reserved() == 0
    assert not indoors.db(indoors.rows_now)
    assert (await ask(indoors, gateway, served.model, text=text)).status == 200
    assert indoors.counter()[0] == 1
    indoors.db(assert_books_balance)


@pytest.mark.parametrize("name", WRONG_HITS)
async def test_hit__that_cannot_be_written__is_refused_and_takes_nothing(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    served, text, hit = indoors.serve("ok"), unique("Say hello to"), ledger_items.hit
    assert (await ask(indoors, gateway, served.model, text=text)).status == 200

    def spoiled(*given: Any, **named: Any) -> Hit:
        made: Hit = WRONG_HITS[name](hit(*given, **named))
        return made

    with monkeypatch.context() as patched:
        patched.setattr(ledger_items, "hit", spoiled)
        await refused(indoors, gateway, served.model, text)
    assert (await ask(indoors, gateway, served.model, text=text)).status == 200
    assert indoors.counter()[0] == 2
    indoors.db(assert_books_balance)


async def test_limit_check__that_cannot_be_asked__tells_the_minute_s_limit(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    indoors.customer.requests_per_minute = 1
    indoors.db(indoors.customer.save)
    served, put = indoors.serve("ok"), Ledger.put

    async def spoiled(ledger: Ledger, item: Any) -> Any:
        if isinstance(item, Check):
            item = replace(item, party=replace(item.party, key="a\0"))
        return await put(ledger, item)

    assert (await ask(indoors, gateway, served.model)).status == 200
    monkeypatch.setattr(Ledger, "put", spoiled)
    answer = await ask(indoors, gateway, served.model)
    assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
