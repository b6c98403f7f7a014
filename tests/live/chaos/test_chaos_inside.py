"""What only the gateway's own process shows: its journal and its traces."""

import asyncio
import time
import uuid
from pathlib import Path

import pytest
from pytest_django import Settings

from llm.chaos.chaos_client import ChaosClient
from llm.chaos.leases import Lease
from llm.chaos.plan import FaultPlan
from llm.journal.records import WITHDRAWN
from llm.runtime import Runtime
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.test_traces import whole
from tests.live.world import World
from tests.otlp import Collector

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def enabled(settings: Settings, tmp_path: Path) -> None:
    settings.CHAOS_ENABLED = True
    settings.CHAOS_STOP_FILE = str(tmp_path / "chaos.stop")
    # Leases are put by hand.
    settings.CHAOS_POLL_S = 3_600


async def put(gateway: Runtime, plan: FaultPlan) -> Lease:
    """Give the gateway a lease, once it has looked for those of the database."""
    client = gateway.pipeline._failover._client
    assert isinstance(client, ChaosClient)
    await gateway.db.run(time.monotonic)
    await asyncio.sleep(0)
    lease = Lease(uuid.uuid4(), "game-day", plan, time.monotonic() + 600)
    client._leases.put((lease,))
    return lease


async def test_cut__before_its_settlement__is_withdrawn_from_the_journal(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = indoors.serve("ok-20")
    await put(gateway, FaultPlan("cut", {"unit": "events", "after": 2}))
    seen: list[int] = []
    settle = gateway.pipeline._settlement.settle

    async def look(attempts, outcome, answer=None, *, wait=True):
        progress = gateway.journal._open[attempts.held.call.id]
        seen.append(progress.route)
        return await settle(attempts, outcome, answer, wait=wait)

    monkeypatch.setattr(gateway.pipeline._settlement, "settle", look)
    body = chat_body(served.model, stream=True)
    answer = await Exchange(gateway, CHAT, body, key=indoors.key).run()
    assert b"game-day" in answer.body
    # A process that died here would leave nothing to bill.
    assert seen == [WITHDRAWN]


async def test_trace__of_an_injected_failure__names_the_experiment(
    collector: Collector, indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok", "ok")
    first = frozenset(served.providers[:1])
    await put(gateway, FaultPlan("error", {"status": 503}, providers=first))
    body = chat_body(served.model)
    answer = await Exchange(gateway, CHAT, body, key=indoors.key).run()
    assert answer.status == 200
    failed, delivered = whole(collector, answer).of_kind("CLIENT")
    assert failed.attributes["valuecanvas.chaos.experiment"] == "game-day"
    assert failed.attributes["http.response.status_code"] == 503
    assert "valuecanvas.chaos.experiment" not in delivered.attributes


async def test_trace__of_a_slowed_call__names_the_experiment(
    collector: Collector, indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok")
    parameters = {"shape": "fixed", "delay_ms": 50, "spread_ms": 0, "most_ms": 50}
    await put(gateway, FaultPlan("latency", parameters))
    body = chat_body(served.model)
    answer = await Exchange(gateway, CHAT, body, key=indoors.key).run()
    [call] = whole(collector, answer).of_kind("CLIENT")
    assert call.attributes["valuecanvas.chaos.experiment"] == "game-day"
    assert "error.type" not in call.attributes


@pytest.mark.parametrize(
    "header", ["x-chaos", "x-valuecanvas-chaos", "x-valuecanvas-context"]
)
async def test_fault__asked_for_by_the_request__does_not_come(
    indoors: World, gateway: Runtime, header: str
) -> None:
    served = indoors.serve("ok")
    condition = {"attribute": "user_id", "operator": "equals", "value": "victim"}
    await put(gateway, FaultPlan("error", {"status": 503}, conditions=(condition,)))
    body = chat_body(
        served.model, user="victim", metadata={"user_id": "victim", "chaos": "error"}
    )
    exchange = Exchange(gateway, CHAT, body, key=indoors.key)
    value = b'{"user_id": "victim", "targetingKey": "victim"}'
    exchange.scope["headers"].append((header.encode(), value))
    exchange.scope["query_string"] = b"chaos=error&user_id=victim"
    assert (await exchange.run()).status == 200
