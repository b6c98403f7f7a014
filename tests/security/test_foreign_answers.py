"""S13: however calls are mixed and cancelled, nobody gets a part of another's answer."""

import asyncio
import random
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.demo_process import DemoProcess, demo_process
from tests.faults.counts import either
from tests.faults.traffic import Client, Row
from tests.live.server import LiveServer, live_server
from tests.live.world import World

pytestmark = pytest.mark.live

TENANTS = either(40, 200)
ANSWERS = either(1500, 50_000)
QUOTA = 1_000_000
OWNER = re.compile("tenant-[0-9a-f]{16}")
# Of each ten calls: what is asked again is a hit, or joins the call that is under way.
KINDS = ("new", "new", "new", "again", "again", "twice", "replay", "replay", "cancel", "cancel")  # fmt: skip


@pytest.fixture
def patient(server_env: dict[str, str], tmp_path: Path) -> Iterator[LiveServer]:
    """A gateway that refuses nobody because the machine is busy."""
    env = {
        **server_env,
        "LLM_ADMIT_TIMEOUT_S": "60",
        "LLM_CONNECT_TIMEOUT_S": "60",
        "LLM_POOL_TIMEOUT_S": "60",
        "LLM_HEADER_TIMEOUT_S": "60",
        "REDIS_TIMEOUT_MS": "5000",
        "DB_LOCK_TIMEOUT_MS": "60000",
        "DB_STATEMENT_TIMEOUT_MS": "60000",
        "ACCESS_LOG": "off",
    }
    with live_server(tmp_path, env) as running:
        yield running


@pytest.fixture
def echo() -> Iterator[DemoProcess]:
    with demo_process() as running:
        yield running


@dataclass
class Tenant:
    """One customer, whose every prompt has its name; so does every answer to it."""

    client: Client
    url: str
    key: str
    model: str
    dice: random.Random
    name: str = field(default_factory=lambda: f"tenant-{secrets.token_hex(8)}")
    seen: Counter[str] = field(default_factory=Counter)
    asked: int = 0

    async def work(self, answers: int) -> None:
        while self.seen.total() < answers:
            kind = self.dice.choice(KINDS)
            if kind == "twice":
                text = self.text()
                await asyncio.gather(self.ask(kind, text), self.ask(kind, text))
            else:
                again = kind in ("again", "replay")
                number = self.dice.randrange(3) if again else None
                await self.ask(kind, self.text(number))

    def text(self, number: int | None = None) -> str:
        """A prompt; one with the same number is the same."""
        self.asked += 1
        return (
            f"{self.name} says {'again' if number is not None else 'new'} " * 3
            + str(self.asked if number is None else number)
        )

    async def ask(self, kind: str, text: str) -> None:
        headers = {}
        if kind == "replay":
            # All tenants use the same ones.
            headers["Idempotency-Key"] = f"key-{text[-1]}"
        row = await self.client.chat(
            self.url,
            self.key,
            self.model,
            stream=self.dice.random() < 0.5 and kind != "replay",
            text=text,
            headers=headers,
            give_up_s=self.dice.uniform(0.001, 0.1) if kind == "cancel" else None,
        )
        self.client.rows.clear()
        self.check(row, text)
        how = row.headers.get("x-valuecanvas-cache", "")
        replayed = "idempotent-replayed" in row.headers
        if row.whole:
            self.seen[f"{'stream' if row.stream else 'whole'} {'replay' if replayed else how}"] += 1  # fmt: skip

    def check(self, row: Row, text: str) -> None:
        """A cancelled answer is the start of the right one."""
        owners = {*OWNER.findall(row.text + repr(row.headers) + repr(row.body))}
        assert owners <= {self.name}
        assert text.startswith(row.text)
        if row.broke != "gave up":
            # The first call with its key may be under way, or the machine too busy.
            assert row.whole or row.status in (409, 503), (row.status, row.broke)
            assert row.text == (text if row.whole else "")


async def test_answers__of_many_tenants_who_cancel__are_never_anothers(
    world: World, patient: LiveServer, echo: DemoProcess
) -> None:
    world.port = patient.port
    world.db(lambda: type(world.tier).objects.update(daily_requests=QUOTA))
    model = world.serve_at((echo.url, "echo+drip@1ms")).model
    keys = [world.new_customer(daily_requests=QUOTA)[1] for _ in range(TENANTS)]
    async with Client() as client:
        tenants = [
            Tenant(client, world.url, key, model, random.Random(number))
            for number, key in enumerate(keys)
        ]
        async with asyncio.TaskGroup() as group:
            for tenant in tenants:
                group.create_task(tenant.work(-(-ANSWERS // TENANTS)))
    seen: Counter[str] = sum((tenant.seen for tenant in tenants), Counter())
    assert seen.total() >= ANSWERS
    assert {"stream hit", "stream miss", "whole hit", "whole miss", "whole replay"} <= {*seen}  # fmt: skip
