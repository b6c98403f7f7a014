"""Factories of callers, prices and routes: call `make_*`, or take the fixture.

Every factory gives a saved row whose names are unique unless you give them. In an async
test take the fixture, or call the factory by `db_thread`.
"""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.auth import keys
from billing.auth.callers import Callers
from billing.models import ApiKey, Budget, Customer, Price, Team, Tier
from llm.models import Model, Provider, Route
from valuecanvas.core.db.db_thread import DbThread

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def unique(noun: str) -> str:
    return f"{noun}-{secrets.token_hex(4)}"


def make_tier(key: str = "", **fields: Any) -> Tier:
    key = key or unique("tier")
    fields.setdefault("daily_requests", 1000)
    return Tier.objects.create(key=key, name=fields.pop("name", key.title()), **fields)


def make_team(key: str = "", **fields: Any) -> Team:
    key = key or unique("team")
    return Team.objects.create(key=key, name=fields.pop("name", key.title()), **fields)


def make_customer(
    user_id: str = "",
    *,
    tier: Tier | None = None,
    team: Team | None = None,
    **fields: Any,
) -> Customer:
    return Customer.objects.create(
        user_id=user_id or unique("user"),
        tier=tier or make_tier(),
        team=team,
        **fields,
    )


def make_api_key(
    customer: Customer | None = None, *, revoked: bool = False, **fields: Any
) -> tuple[ApiKey, str]:
    """The row and the key's text. `scopes`, `allowed_models`, `expires_at` as issued."""
    key, text = keys.issue(
        customer=customer or make_customer(),
        name=fields.pop("name", "a test"),
        scopes=fields.pop("scopes", ["llm"]),
        **fields,
    )
    if revoked:
        keys.revoke(key)
    return key, text


def make_provider(key: str = "", **fields: Any) -> Provider:
    key = key or unique("provider")
    fields.setdefault("kind", "compatible")
    fields.setdefault("base_url", "http://127.0.0.1:9/v1")  # nobody listens there
    fields.setdefault("name", key.title())
    sealed = fields.pop("api_key", "")
    provider = Provider(key=key, **fields)
    provider.set_key(sealed)
    provider.save(force_insert=True)
    return provider


def make_model(name: str = "", **fields: Any) -> Model:
    return Model.objects.create(name=name or unique("model"), **fields)


def make_route(
    model: Model | None = None, provider: Provider | None = None, **fields: Any
) -> Route:
    """A route; its upstream model is the model's own name unless given."""
    model = model or make_model()
    fields.setdefault("upstream_model", model.name)
    return Route.objects.create(
        model=model, provider=provider or make_provider(), **fields
    )


def make_price(
    provider: str,
    upstream_model: str,
    *,
    usd: str = "1",
    output: str = "",
    **fields: Any,
) -> Price:
    """USD per million: `usd` for input, `output` (default: twice that) for output."""
    fields.setdefault("effective_from", LONG_AGO)
    return Price.objects.create(
        provider=provider,
        upstream_model=upstream_model,
        input_usd=Decimal(usd),
        output_usd=Decimal(output) if output else 2 * Decimal(usd),
        **fields,
    )


def make_budget(
    target: Team | Customer | ApiKey | None = None,
    *,
    limit: str = "1",
    period: str = "day",
    **fields: Any,
) -> Budget:
    """A limit in USD for `target`; for everyone where there is none."""
    scopes = {Team: ("team", "team"), Customer: ("customer", "customer"), ApiKey: ("key", "api_key")}  # fmt: skip
    scope, field = scopes[type(target)] if target else ("global", "")
    owner = {field: target} if target else {}
    return Budget.objects.create(
        scope=scope, period=period, limit_usd=Decimal(limit), **owner, **fields
    )


@pytest.fixture
def tier(db: None) -> Tier:
    return make_tier()


@pytest.fixture
def free_tier(db: None) -> Tier:
    """The tier that customers first seen get (settings.DEFAULT_TIER)."""
    return make_tier("free", daily_requests=10)


@pytest.fixture
def team(db: None) -> Team:
    return make_team()


@pytest.fixture
def customer(tier: Tier) -> Customer:
    return make_customer(tier=tier)


@pytest.fixture
def api_key(customer: Customer) -> tuple[ApiKey, str]:
    """The row and the text of a key with the scope `llm`."""
    return make_api_key(customer)


@pytest.fixture
def provider(db: None) -> Provider:
    return make_provider()


@pytest.fixture
def model(db: None) -> Model:
    return make_model()


@pytest.fixture
def route(model: Model, provider: Provider) -> Route:
    return make_route(model, provider)


@pytest.fixture
def price(route: Route) -> Price:
    """1 USD per million input tokens and 2 per million output tokens of `route`."""
    return make_price(route.provider_id, route.upstream_model)


@pytest.fixture
def budget(customer: Customer) -> Budget:
    """One US dollar a day for `customer`."""
    return make_budget(customer)


@pytest.fixture
def db_thread(transactional_db: None) -> Iterator[DbThread]:
    """A thread with a connection of its own: `await db_thread.run(make_customer)`."""
    thread = DbThread()
    yield thread
    thread.close()


@pytest.fixture
def callers(db_thread: DbThread) -> Callers:
    return Callers(db_thread)
