"""A committed change governs the very next request of another process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from billing.auth import keys
from billing.models import ApiKey, Budget, Customer, Price, Tier
from llm.models import Model, Route
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_price,
    make_provider,
    make_route,
)
from tests.invariants import assert_nothing_held
from tests.races.rounds import ROUNDS
from valuecanvas.core.db import epoch

START = "import django; django.setup(); from tests.races import second_process as p; p.main()"
Asked = dict[str, Any]


@dataclass
class Other:
    """The other process, and who asks it for what."""

    process: "subprocess.Popen[str]"
    key: ApiKey
    text: str
    model: Model
    routes: tuple[Route, Route]

    def ask(self, text: str = "") -> Asked:
        """What its next request is admitted on."""
        assert self.process.stdin
        assert self.process.stdout
        asked = {"authorization": f"Bearer {text or self.text}", "model": self.model.pk}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer: Asked = json.loads(self.process.stdout.readline())
        return answer


def environment() -> dict[str, str]:
    url = urlsplit(os.environ["DATABASE_URL"])
    name = connection.settings_dict["NAME"]
    return {
        **os.environ,
        "DATABASE_URL": url._replace(path=f"/{name}").geturl(),
        "KEY_PEPPER": settings.KEY_PEPPER,
        "LOG_LEVEL": "error",
    }


@contextmanager
def start(*arguments: str) -> Iterator[Other]:
    key, text = make_api_key(make_customer())
    cheap, dear = make_route(upstream_model="a"), None
    dear = make_route(cheap.model, make_provider(), upstream_model="b", priority=2)
    for route in (cheap, dear):
        make_price(route.provider_id, route.upstream_model)
    process = subprocess.Popen(
        [sys.executable, "-c", START, *arguments],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Other(process, key, text, cheap.model, (cheap, dear))
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 0


def price(other: Other, number: int) -> bool:
    Price.objects.update(input_usd=Decimal(number + 1))
    return bool(other.ask().get("input_rate") == (number + 1) * 1_000_000)


def route(other: Other, number: int) -> bool:
    Route.objects.filter(pk=other.routes[0].pk).update(enabled=number % 2 == 0)
    return other.ask().get("upstream_model") == "ab"[number % 2]


def quota(other: Other, number: int) -> bool:
    Tier.objects.update(daily_requests=5000 + number)
    return bool(other.ask().get("quota") == 5000 + number)


def budget(other: Other, number: int) -> bool:
    Budget.objects.all().delete()
    make_budget(other.key, limit=str(number + 7))
    return bool(other.ask().get("limits") == [(number + 7) * 1_000_000])


def key(other: Other, number: int) -> bool:
    row, text = make_api_key(other.key.customer)
    known = "epoch" in other.ask(text)
    keys.revoke(row)
    return known and other.ask(text) == {"error": "api_key_revoked"}


def customer(other: Other, number: int) -> bool:
    rows = Customer.objects.filter(pk=other.key.customer_id)
    rows.update(suspended=True)
    refused = "error" in other.ask()
    rows.update(suspended=False)
    return refused and "epoch" in other.ask()


def model(other: Other, number: int) -> bool:
    other.model.enabled = False
    other.model.save()
    refused = other.ask() == {"error": "model_not_found"}
    other.model.enabled = True
    other.model.save()
    return refused and "epoch" in other.ask()


CHANGES: list[Callable[[Other, int], bool]] = [
    price, route, quota, budget, key, customer, model,
]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_epoch__changed_and_committed__governs_the_next_request_elsewhere() -> None:
    with start() as other:
        kept = []
        for number, change in zip(range(ROUNDS), cycle(CHANGES)):
            kept.append(change(other, number))
            assert other.ask()["epoch"] == epoch.current()
    assert kept == [True] * ROUNDS
    assert_nothing_held()


@pytest.mark.django_db(transaction=True)
def test_epoch__admission_that_does_not_look_at_it__is_seen_to_be_old() -> None:
    """The twin with the guard off: the test above can fail, by each change."""
    with start("blind") as other:
        assert "epoch" in other.ask()
        assert [change(other, 3) for change in CHANGES] == [False] * len(CHANGES)
