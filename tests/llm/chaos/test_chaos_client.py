"""The client that injects faults: whom it meets, how long it waits, what it answers."""

import statistics
import time
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from llm.chaos import chaos_client, injected_responses
from llm.chaos.chaos_client import ChaosClient
from llm.chaos.faults import MALFORMED_FORMS, STATUSES
from llm.chaos.leases import LOGS_PER_S, Lease, Leases
from llm.chaos.plan import FaultPlan
from llm.providers.base import Verdict
from llm.providers.registry import KINDS
from llm.types import Candidate
from llm.upstream.attempts import Attempts
from llm.upstream.http import Failed, check
from llm.upstream.provider_client import ProviderClient
from tests.llm.chaos.test_chaos_plan import held, where


class Sharing:
    """Counts the calls that are shared no more."""

    def __init__(self) -> None:
        self.failed = 0

    def fail(self, held: Any) -> None:
        self.failed += 1


def candidate(provider: str = "one", kind: str = "compatible") -> Candidate:
    facts: Any = SimpleNamespace(key=provider, kind=KINDS[kind], api_key="")
    rate: Any = None
    return Candidate(facts, "m", rate, False, "")


def request(**more: Any) -> Any:
    """An attempt of a call to the providers one and two."""
    found = held(**more)
    found.call.id = uuid.uuid4()
    found.plan.shape = SimpleNamespace(stream=False)
    found.plan.candidates = (candidate("one"), candidate("two"))
    found.plan.longest_s, found.call.started = 60.0, time.monotonic()
    attempts = Attempts(found)
    attempts.begin()
    return attempts


def lease(plan: FaultPlan) -> Lease:
    return Lease(uuid.uuid4(), "exp", plan, time.monotonic() + 600)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The providers that were asked; nothing is sent."""
    found: list[str] = []

    async def post(self: Any, attempts: Any, candidate: Any, *_: Any, **__: Any) -> str:
        found.append(candidate.provider.key)
        return "answer"

    monkeypatch.setattr(ProviderClient, "post", post)
    return found


def make(*plans: FaultPlan) -> tuple[ChaosClient, Leases, Sharing]:
    leases, sharing = Leases(), Sharing()
    leases.put(tuple(map(lease, plans)))
    pool: Any = None
    as_sharing: Any = sharing
    return ChaosClient(pool, leases, as_sharing), leases, sharing


async def post(client: ChaosClient, attempts: Attempts, route: int = 0) -> Any:
    body: Any = b""
    return await client.post(attempts, client.routes(attempts)[route], "/x", body)


async def test_call__without_a_lease__is_sent_as_it_is(sent: list[str]) -> None:
    client, _, sharing = make()
    attempts = request()
    assert client.routes(attempts) is attempts.held.plan.candidates
    assert await post(client, attempts) == "answer"
    assert (sent, sharing.failed) == (["one"], 0)


@pytest.mark.parametrize(
    "plan",
    [
        FaultPlan("error", {"status": 500}, providers=frozenset({"two"})),
        FaultPlan("error", {"status": 500}, percent=0.0),
        FaultPlan("error", {"status": 500}, model_names=frozenset({"big"})),
        FaultPlan("store_down"),
        where("user_id", "bob"),
    ],
)
async def test_call__that_no_run_is_about__is_sent(
    sent: list[str], plan: FaultPlan
) -> None:
    client, leases, sharing = make(plan)
    attempts = request()
    assert await post(client, attempts) == "answer"
    assert (sent, sharing.failed, leases.injected.total()) == (["one"], 0, 0)
    assert {one.scope for one in client.routes(attempts)} == {""}


async def test_routes__of_a_limited_run__have_its_breakers_and_share_nothing(
    sent: list[str],
) -> None:
    plan = FaultPlan(
        "error",
        {"status": 500},
        providers=frozenset({"one"}),
        conditions=where("user_id", "ann").conditions,
    )
    client, leases, sharing = make(plan)
    attempts = request()
    [held] = leases.live()
    assert [one.scope for one in client.routes(attempts)] == [held.scope, ""]
    assert sharing.failed == 1
    with pytest.raises(Failed):
        await post(client, attempts)
    assert await post(client, attempts, 1) == "answer"


async def test_limited_run__that_begins_after_the_route_was_chosen__waits_for_the_next(
    sent: list[str],
) -> None:
    client, leases, _ = make()
    attempts = request()
    route = client.routes(attempts)[0]
    leases.put((lease(where("user_id", "ann")),))
    body: Any = b""
    # Its failure would be seen by everybody's breaker.
    assert await client.post(attempts, route, "/x", body) == "answer"


async def test_percent__of_one_request__is_the_same_for_each_attempt(
    sent: list[str],
) -> None:
    client, leases, _ = make(
        FaultPlan("rate_limit", {"retry_after_s": 5}, percent=50.0)
    )
    met = 0
    for _ in range(400):
        attempts = request()
        before = len(sent)
        for _ in range(3):
            try:
                await post(client, attempts)
            except Failed:
                met += 1
        assert len(sent) - before in (0, 3)
    assert met == leases.injected.total()
    assert 3 * 140 <= met <= 3 * 260


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", STATUSES)
async def test_error__of_each_status__is_a_failure_of_the_provider(
    kind: str, status: int
) -> None:
    with pytest.raises(Failed) as raised:
        await check(injected_responses.refuse(status), candidate(kind=kind))
    assert (raised.value.verdict, raised.value.status) == (Verdict.FAILURE, status)
    assert not raised.value.unsent


@pytest.mark.parametrize("kind", KINDS)
async def test_rate_limit__of_each_kind__asks_to_wait(kind: str) -> None:
    with pytest.raises(Failed) as raised:
        await check(
            injected_responses.refuse(429, retry_after_s=7), candidate(kind=kind)
        )
    assert raised.value.verdict is Verdict.THROTTLED
    assert raised.value.retry_after_s == 7


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("form", MALFORMED_FORMS)
async def test_malformed__of_each_form__has_a_body(form: str, streamed: bool) -> None:
    response = injected_responses.malform(form, streamed=streamed)
    assert response.status == 200
    assert await response.content.readany()
    assert response.content.at_eof()


def test_delay__of_each_shape__is_about_what_was_asked() -> None:
    def draw(shape: str, spread: int) -> list[float]:
        asked = {"shape": shape, "delay_ms": 100, "spread_ms": spread, "most_ms": 300}
        return [chaos_client._delay("latency", asked) for _ in range(4000)]

    assert set(draw("fixed", 50)) == {0.1}
    uniform, normal, exponential = (
        draw("uniform", 50), draw("normal", 20), draw("exponential", 0),
    )  # fmt: skip
    assert 0.05 <= min(uniform) < 0.06
    assert 0.14 < max(uniform) <= 0.15
    assert 0.095 < statistics.mean(normal) < 0.105
    assert 0.015 < statistics.stdev(normal) < 0.025
    assert 0.085 < statistics.mean(exponential) < 0.105
    # The bound holds for the rare long ones.
    assert max(exponential) == 0.3
    assert min(min(uniform), min(normal), min(exponential)) >= 0


def test_log__of_many_faults__is_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    log = SimpleNamespace(warning=lambda event, **_: told.append(event))
    monkeypatch.setattr("llm.chaos.leases.log", log)
    leases, held = Leases(), lease(FaultPlan("timeout"))
    for _ in range(1000):
        leases.note(held, provider="one")
    assert leases.injected[held.run_id] == 1000
    assert LOGS_PER_S <= len(told) <= 5 * LOGS_PER_S
