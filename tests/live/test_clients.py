"""The matrix of clients: each runs the same scenarios against a live gateway.

`make clients` installs them, runs this, and writes the table of docs/CLIENTS.md.
"""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from billing.models import Customer, Refusal, Usage
from tests.clients.case import HELLO
from tests.clients.clients import CLIENTS, ROOT, Client
from tests.live.test_stored_prompts import make_prompt
from tests.live.world import World, request_id, unique

pytestmark = pytest.mark.live
TAG = "night"


@dataclass(frozen=True)
class Outcome:
    """What a client printed for a scenario, and the rows of that scenario's key."""

    value: Any
    rows: list[Usage]

    @property
    def row(self) -> Usage:
        [row] = self.rows
        return row


def is_structured(found: Outcome) -> bool:
    value = found.value
    return isinstance(value["title"], str) and isinstance(value["score"], int)


# By scenario: whether its outcome is right.
RIGHT: Mapping[str, Callable[[Outcome], bool]] = {
    "chat": lambda found: found.value == HELLO,
    "stream": lambda found: "".join(found.value) == HELLO and len(found.value) > 1,
    "tools": lambda found: "21 degrees" in found.value and len(found.rows) == 2,
    "structured": is_structured,
    "embeddings": lambda found: len(found.value) == 2 and min(found.value) > 1,
    "responses": lambda found: found.value == HELLO and found.row.endpoint == "responses",
    "wrong key": lambda found: found.value == 401 and found.rows == [],
    "busy": lambda found: found.value == HELLO and found.rows[-1].status == "ok",
    "quota": lambda found: found.value == [HELLO, 429] and found.row.status == "ok",
    "vision": lambda found: found.value == HELLO and found.row.prompt_tokens > 85,
    "user": lambda found: found.value == HELLO and found.row.end_user == "person-1",
    "extra": lambda found: found.value == HELLO and found.row.tags == [TAG],
    "prompt": lambda found: found.value == "Hello Ann!" and found.row.prompt_version == 1,
    "cache": lambda found: (
        found.value == [HELLO, HELLO] and [row.cached for row in found.rows] == [False, True]
    ),
    "abort": lambda found: found.value >= 1 and found.row.completion_tokens < 300,
}  # fmt: skip


@dataclass
class Matrix:
    """A gateway with all that the scenarios need."""

    world: World
    models: dict[str, str]
    busy: str
    prompt: str

    def customers(self) -> dict[str, tuple[Customer, str]]:
        """By scenario: a customer of its own and its key."""
        return {
            name: self._customer(1 if name == "quota" else 100, name) for name in RIGHT
        }

    def _customer(self, daily_requests: int, name: str) -> tuple[Customer, str]:
        customer, _key = self.world.new_customer(daily_requests=daily_requests)
        key = self.world.new_key(customer, allowed_tags=[TAG])
        return customer, f"{key[:-4]}none" if name == "wrong key" else key

    def end_rush(self) -> None:
        """Once the provider has refused one request, it answers the next."""
        asked: dict[str, int] = {}
        while not asked:
            asked = self.world.demo.stats().get(self.busy, {})
        self.world.demo.override(self.busy, "echo")

    def run(self, client: Client, keys: Mapping[str, str]) -> dict[str, Any]:
        case = {
            "base_url": f"{self.world.url}/v1",
            "keys": keys,
            "models": self.models,
            "prompt": self.prompt,
            "tag": TAG,
        }
        threading.Thread(target=self.end_rush, daemon=True).start()
        done = subprocess.run(
            client.command,
            cwd=ROOT,
            env={**os.environ, "NO_PROXY": "*"},
            input=json.dumps(case),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


@pytest.fixture
def matrix(world: World) -> Matrix:
    busy = unique("acme/busy")
    world.demo.override(busy, "status-429@1")
    upstream = {"echo": "echo", "tools": "ok", "busy": busy, "slow": "drip@50ms:400"}
    models = {role: world.serve(one).model for role, one in upstream.items()}
    models["embedding"] = world.serve("ok", kind="embedding").model
    return Matrix(world, models, busy, world.db(make_prompt, "Hello {{name}}!").key)


def refusals_of(matrix: Matrix, customer: Customer, key: str) -> int:
    """How often the client asked in vain: refusals are kept in their order."""
    world = matrix.world
    last = request_id(world.chat(matrix.models["echo"], key=key))
    world.eventually(lambda: Refusal.objects.filter(pk=last).exists())
    return world.db(Refusal.objects.filter(customer_id=customer.pk).count) - 1


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.title)
def test_client__every_scenario__gives_what_it_should(
    matrix: Matrix, client: Client
) -> None:
    if not client.installed:
        pytest.skip("Run `make clients`: it installs the clients.")
    customers = matrix.customers()
    printed = matrix.run(client, {name: key for name, (_one, key) in customers.items()})
    world = matrix.world
    # A stream that was left is settled a moment later.
    [left] = [one for name, (one, _key) in customers.items() if name == "abort"]
    world.eventually(lambda: Usage.objects.filter(customer_id=left.pk).first())
    wrong = {}
    for name, is_right in RIGHT.items():
        if name in client.cannot:
            continue
        rows = sorted(world.usage_rows(customers[name][0]), key=lambda row: row.pk)
        found = Outcome(printed[name], rows)
        if isinstance(found.value, str) and "rror" in found.value[:60]:
            wrong[name] = found.value
        elif not is_right(found):
            wrong[name] = f"{found.value!r}, {[vars(row) for row in rows]}"
    assert wrong == {}
    assert refusals_of(matrix, *customers["quota"]) == client.asks
