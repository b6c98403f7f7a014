"""What a live test makes and looks at: callers, routes, ledger rows, send log."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import openai
import orjson
from django.db import connections
from django.utils import timezone

from billing.models import Counter, Customer, Reservation, Tier, Usage
from llm.models import Attempt, BreakerEvent, BreakerOverride, Model
from tests import demo_process
from tests.demo_process import DemoProcess
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
    make_tier,
    unique,
)

T = TypeVar("T")
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["error"]
        return found


@dataclass(frozen=True)
class Served:
    """A model made for one test, and its routes' providers in order."""

    model: str
    providers: list[str]


@dataclass
class World:
    """One customer with one key, and what it can reach.

    Rows are made in a thread of its own, so that coroutines may make them too; they are
    committed, for the gateway reads them in another process.
    """

    demo: DemoProcess
    port: int = 0
    log_path: Path = Path("/dev/null")
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    tier: Tier = field(init=False)
    customer: Customer = field(init=False)
    key: str = field(init=False)

    def __post_init__(self) -> None:
        self.tier = self.db(make_tier, daily_requests=1000)
        self.customer = self.db(make_customer, tier=self.tier)
        self.key = self.new_key()

    def close(self) -> None:
        self.pool.submit(connections.close_all).result()
        self.pool.shutdown()

    def db(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """`function(...)` in the thread that has the database connection."""
        return self.pool.submit(function, *args, **kwargs).result()

    def new_key(self, customer: Customer | None = None, **fields: Any) -> str:
        return self.db(make_api_key, customer or self.customer, **fields)[1]

    def new_customer(self, **fields: Any) -> tuple[Customer, str]:
        """A customer and the text of its key; `daily_requests` gives it a tier."""
        team = fields.pop("team", None)
        tier = self.db(make_tier, **fields)
        customer = self.db(make_customer, tier=tier, team=team)
        return customer, self.new_key(customer)

    def serve(
        self, *upstream: str, prices: tuple[str, ...] = (), **model: Any
    ) -> Served:
        """A model with one demo provider per behaviour in `upstream`, tried in order.

        `prices` are USD per million input tokens, one a route; a price of '' is none.
        """
        urls = [(self.demo.url, one) for one in upstream]
        return self.serve_at(*urls, prices=prices, **model)

    def serve_at(
        self, *routes: tuple[str, str], prices: tuple[str, ...] = (), **model: Any
    ) -> Served:
        """As `serve`, with routes given as (base URL, upstream model).

        `api_key` is that of all providers, or a tuple with one for each.
        """
        kind = model.pop("provider_kind", "compatible")
        keys = model.pop("api_key", "")
        keys = keys if isinstance(keys, tuple) else (keys,) * len(routes)
        made = self.db(make_model, **model)
        served = Served(made.name, [])
        for index, (url, behaviour) in enumerate(routes):
            provider = self.db(
                make_provider, base_url=url, kind=kind, api_key=keys[index]
            )
            self.db(
                make_route, made, provider, upstream_model=behaviour, priority=index
            )
            usd = prices[index] if prices else "1"
            if usd:
                self.db(make_price, provider.key, behaviour, usd=usd)
            served.providers.append(provider.key)
        return served

    def price(self, provider: str, upstream_model: str, **fields: Any) -> None:
        self.db(make_price, provider, upstream_model, **fields)

    def free_tier(self) -> Tier:
        """The tier of customers first seen (settings.DEFAULT_TIER)."""
        fields = {"name": "Free", "daily_requests": 10}
        return self.db(Tier.objects.get_or_create, key="free", defaults=fields)[0]

    def model(self, name: str) -> Model:
        return self.db(Model.objects.get, pk=name)

    def force(self, provider: str, state: str, upstream_model: str = "") -> None:
        """Hold a breaker open or closed, as an operator would."""
        self.db(
            BreakerOverride.objects.create,
            provider_id=provider,
            upstream_model=upstream_model,
            state=state,
            reason="a test",
            expires_at=timezone.now() + timedelta(minutes=5),
        )

    def budget(self, **fields: Any) -> None:
        """A budget of the customer."""
        self.db(make_budget, fields.pop("target", self.customer), **fields)

    # What the gateway left behind

    def attempt(self, request_id: str, number: int = 1) -> demo_process.Attempt:
        """What the send log has of an upstream attempt, once that ended."""
        return self.demo.attempt(f"{request_id}.{number}")

    def usage(self, request_id: str) -> Usage:
        """The ledger row of a request, once it is there."""
        return self.eventually(lambda: Usage.objects.filter(pk=request_id).first())

    def rows_now(self) -> list[Usage]:
        """The customer's ledger rows; for `eventually`, which has the connection."""
        return list(Usage.objects.filter(customer_id=self.customer.pk))

    def reserved_now(self) -> int:
        """How many requests are reserved; for `eventually`."""
        return Reservation.objects.filter(customer_id=self.customer.pk).count()

    def breaker(self, provider: str) -> dict[str, Any]:
        """The first breaker of a provider, as /api/llm/health shows it."""
        shown = self.request("/api/llm/health", key="").json["providers"]
        found: dict[str, Any] = next(p for p in shown if p["provider"] == provider)
        return found

    def metrics(self) -> str:
        """The figures as of now: those that are in memory are a second old at most."""
        old = found = self.request("/metrics", key="").body
        while found == old:
            found = self.request("/metrics", key="").body
        return found.decode()

    def server_log(self) -> str:
        """All that the gateway has written."""
        return self.log_path.read_text()

    def usage_rows(self, customer: Customer | None = None) -> list[Usage]:
        found = Usage.objects.filter(customer_id=(customer or self.customer).pk)
        return self.db(lambda: list(found))

    def attempts(self, request_id: str, count: int) -> list[Attempt]:
        """The failed attempts of a request, once there are `count`."""

        def look() -> list[Attempt]:
            rows = Attempt.objects.filter(request_id=request_id).order_by("number")
            found = list(rows)
            return found if len(found) >= count else []

        return self.eventually(look) if count else self.db(look)

    def breaker_events(self, provider: str) -> list[BreakerEvent]:
        """The transitions of a provider's breakers, once there is one."""
        rows = BreakerEvent.objects.filter(provider=provider).order_by("pk")
        return self.eventually(lambda: list(rows.all()))

    def counter(self, customer: Customer | None = None) -> tuple[int, int, int]:
        """(used, spent, reserved) of the customer, all days."""
        scope_id = str((customer or self.customer).pk)
        rows = Counter.objects.filter(scope="c", scope_id=scope_id)
        found = self.db(lambda: list(rows.values_list("used", "spent", "reserved")))
        return tuple(sum(column) for column in zip(*found, strict=True)) or (0, 0, 0)

    def reserved(self, customer: Customer | None = None) -> int:
        """How many requests of the customer are still reserved."""
        pk = (customer or self.customer).pk
        return self.db(Reservation.objects.filter(customer_id=pk).count)

    def eventually(self, look: Callable[[], T | None]) -> T:
        """What `look` finds in the database as soon as it finds something."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := self.db(look)):
            if time.monotonic() > deadline:
                raise TimeoutError("That did not happen.")
            time.sleep(0.01)
        return found

    # Ways in

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sdk(self, key: str = "", **options: Any) -> openai.OpenAI:
        """The official client; close it, or use it as a context manager."""
        options.setdefault("max_retries", 0)
        return openai.OpenAI(
            api_key=key or self.key, base_url=f"{self.url}/v1", **options
        )

    def async_sdk(self, key: str = "", **options: Any) -> openai.AsyncOpenAI:
        options.setdefault("max_retries", 0)
        return openai.AsyncOpenAI(
            api_key=key or self.key, base_url=f"{self.url}/v1", **options
        )

    def request(
        self,
        path: str,
        data: bytes | None = None,
        *,
        method: str = "",
        key: str | None = None,
        **headers: str,
    ) -> Answer:
        """One plain HTTP request; `content_type` and such become headers."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            sent.setdefault("content-type", "application/json")
        if key != "":
            sent.setdefault("authorization", f"Bearer {key or self.key}")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method or ("GET" if data is None else "POST"), path, data, sent
            )
            got = connection.getresponse()
            found = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, found, got.read())
        finally:
            connection.close()

    def post(self, path: str, key: str | None = None, **body: Any) -> Answer:
        """POST `body` as JSON."""
        return self.request(path, orjson.dumps(body), key=key)

    def chat(self, model: str, text: str = "", **fields: Any) -> Answer:
        """A chat with one user message: of its own, so that no cache answers it."""
        key = fields.pop("key", None)
        text = text or unique("Say hello to")
        messages = [{"role": "user", "content": text}]
        return self.post(
            "/v1/chat/completions", key=key, model=model, messages=messages, **fields
        )


def request_id(answer: Answer) -> str:
    return str(UUID(answer.headers["x-request-id"]))


__all__ = ["Answer", "Served", "World", "request_id", "unique"]
