"""More requests at once than a process may take on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_django import Settings

from billing.models import Refusal
from llm import metrics, runtime
from llm.admission.load_shedding import LoadLimit, LoadSlot
from llm.runtime import Runtime
from tests.live.inside import CHAT, Exchange, ask, chat_body
from tests.live.world import World, request_id
from valuecanvas.core.errors import Unavailable

pytestmark = pytest.mark.live
MOST = 2


@pytest.fixture
async def small(
    transactional_db: None, settings: Settings, tmp_path: Path
) -> AsyncIterator[Runtime]:
    """A gateway that takes on two requests at once."""
    settings.LLM_MAX_IN_FLIGHT = MOST
    settings.JOURNAL_DIR = tmp_path
    made = await runtime.start()
    yield made
    await made.stop()


def refused() -> float:
    [metric] = metrics.OVERLOADED.collect()
    return next(one.value for one in metric.samples if one.name.endswith("_total"))


async def streams(world: World, gateway: Runtime) -> list[Exchange]:
    """As many as there is room for, each under way."""
    served = world.serve("drip@20ms:2000")
    made = []
    for _ in range(MOST):
        exchange = Exchange(
            gateway, CHAT, chat_body(served.model, stream=True), key=world.key
        )
        exchange.start()
        await exchange.until(b"chat.completion.chunk")
        made.append(exchange)
    return made


async def test_overload__all_slots_taken_by_streams__says_when_to_ask_again(
    indoors: World, small: Runtime
) -> None:
    before = refused()
    served = indoors.serve("ok")
    under_way = await streams(indoors, small)
    answer = await ask(indoors, small, served.model)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.error["code"] == "overloaded"
    assert refused() == before + 1
    await small.trace_rows.flush()
    trace = indoors.db(Refusal.objects.get, pk=request_id(answer))
    assert (trace.code, trace.customer_id) == ("overloaded", indoors.customer.pk)
    # Probes are answered, or the process would be restarted for being busy.
    probe = await Exchange(small, "/health/live", method="GET").run()
    assert probe.status == 200
    for exchange in under_way:
        exchange.leave()
    while (again := await ask(indoors, small, served.model)).status == 503:
        await asyncio.sleep(0.01)
    assert again.status == 200


async def test_overload__slow_sender__keeps_nobody_out(
    indoors: World, small: Runtime
) -> None:
    served = indoors.serve("ok")
    slow = [Exchange(small, CHAT, [b"{", b"}"], key=indoors.key) for _ in range(5)]
    held = asyncio.Event()

    async def receive() -> dict[str, object]:
        await held.wait()
        return {"type": "http.disconnect"}

    for one in slow:
        one.receive = receive  # type: ignore[method-assign]
    waiting = [one.start() for one in slow]
    await asyncio.sleep(0)
    assert (await ask(indoors, small, served.model)).status == 200
    held.set()
    await asyncio.gather(*waiting)


async def test_overload__errors_of_all_kinds__free_their_slots(
    indoors: World, small: Runtime
) -> None:
    broken = indoors.serve("status-500")
    for _ in range(MOST + 1):
        assert (await ask(indoors, small, broken.model)).status == 502
        nobody = await Exchange(small, CHAT, chat_body("m"), key="vc-no-key").run()
        assert nobody.status == 401
        nowhere = await Exchange(small, "/v1/nowhere", b"{}", key=indoors.key).run()
        assert nowhere.status == 404


def test_slot__freed_twice_or_never_taken__counts_once() -> None:
    room = LoadLimit(1, 0)
    first, second, third = LoadSlot(), LoadSlot(), LoadSlot()
    second.free()
    first.take(room)
    with pytest.raises(Unavailable):
        second.take(room)
    second.free()
    with pytest.raises(Unavailable):
        second.take(room)
    first.free()
    first.free()
    second.take(room)
    with pytest.raises(Unavailable):
        third.take(room)
