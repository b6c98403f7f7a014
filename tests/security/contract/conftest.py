"""A gateway without limits a minute, and the roles that may ask it."""

from collections.abc import Callable, Iterator, Mapping

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing.models import Scope
from flags.models import Flag
from tests.demo_process import DemoProcess
from tests.fixtures_billing import unique
from tests.live.conftest import server_env, transactional_db
from tests.live.server import LiveServer, live_server
from tests.live.world import World
from tests.security.contract.runs import Role
from valuecanvas.http.openapi.examples import MODEL

CREATE_FLAG = "POST /api/flags"
UNLIMITED = (
    "API_REQUESTS_PER_MINUTE",
    "FEEDBACK_PER_MINUTE",
    "LOOKUPS_PER_MINUTE",
    "AUTH_FAILURES_PER_MINUTE",
    "JOBS_CALLS_PER_MINUTE",
)
__all__ = ["server_env", "transactional_db"]


@pytest.fixture(scope="module")
def contract_server(
    server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A gateway that counts nobody's requests a minute."""
    env = {**server_env, "REDIS_PREFIX": unique("contract")}
    # With all endpoints that the document names.
    env |= {"CHAOS_ENABLED": "true"} | dict.fromkeys(UNLIMITED, "0")
    with live_server(tmp_path_factory.mktemp("contract"), env) as running:
        yield running


@pytest.fixture(scope="module")
def world(
    transactional_db: None, contract_server: LiveServer, demo_provider: DemoProcess
) -> Iterator[World]:
    """One model under the name that the document's examples have."""
    made = World(demo_provider, contract_server.port, contract_server.log_path)
    made.free_tier()
    made.serve("ok-12", name=MODEL)
    yield made
    made.close()


def free_names() -> None:
    """Flags that another role made no longer have the names of the document's examples."""
    for flag in Flag.objects.all():
        Flag.objects.filter(pk=flag.pk).update(name=unique("earlier"))


@pytest.fixture(params=["anonymous", "llm key", "full key", "staff"])
def role(request: pytest.FixtureRequest, world: World) -> Role:
    world.db(free_names)
    return ROLES[request.param](world)


@pytest.fixture
def full_key(world: World) -> Role:
    return _key(world, CREATE_FLAG, *Scope.values)


def _key(world: World, may: str, *scopes: str) -> Role:
    customer, _ = world.new_customer(daily_requests=1_000_000)
    text = world.new_key(customer, scopes=list(scopes))
    return Role(f"key with {len(scopes)} scopes", may, {"key": {"bearer": text}})


def _staff(world: World) -> Role:
    """A superuser's session; the CSRF token is the double-submitted one of Django."""

    def sign_in() -> Role:
        user = User.objects.create_superuser(unique("contract"), password="x")
        client = Client()
        client.force_login(user)
        session = client.cookies["sessionid"].value
        token = "c" * 32
        return Role(
            "staff",
            CREATE_FLAG,
            headers={
                "Cookie": f"sessionid={session}; csrftoken={token}",
                "X-CSRFToken": token,
            },
        )

    return world.db(sign_in)


ROLES: Mapping[str, Callable[[World], Role]] = {
    "anonymous": lambda world: Role("anonymous", "GET /api/llm/health"),
    "llm key": lambda world: _key(world, "GET /v1/models", Scope.LLM),
    "full key": lambda world: _key(world, CREATE_FLAG, *Scope.values),
    "staff": _staff,
}
