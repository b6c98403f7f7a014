"""Requests that were served, replayed, or not answered, as in outcomes.py."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import orjson
from django.utils import timezone

from billing.accounting.reaper import reap
from billing.models import Reservation, Usage
from llm.models import BreakerOverride
from tests.fixtures_billing import make_api_key, make_price
from tests.live.outcomes import CHAT, Case, Seed, seed
from tests.live.test_experiment_traffic import Trial
from tests.live.test_gateway_flags import make_flag
from tests.live.test_stored_prompts import make_prompt
from tests.live.world import Answer, Served, World, request_id, unique


def ask(world: World, served: Served, text: str = "", **more: Any) -> Answer:
    """A chat; fields that end in `_header` are headers."""
    end = "_header"
    sent = {k.removesuffix(end): v for k, v in more.items() if k.endswith(end)}
    body = {k: v for k, v in more.items() if not k.endswith(end)}
    asked = [{"role": "user", "content": text or unique("Hello")}]
    return world.request(
        CHAT, orjson.dumps({"model": served.model, "messages": asked, **body}), **sent
    )


def named(world: World, answer: Answer, served: Served) -> Seed:
    """With the names of the model's providers: {one}, {two}."""
    names = dict(zip(("one", "two"), served.providers, strict=False))
    return seed(world, answer, **names)


def chat(*upstream: str, **body: Any) -> Callable[[World], Seed]:
    def sow(world: World) -> Seed:
        served = world.serve(*upstream)
        return named(world, ask(world, served, **body), served)

    return sow


def post(path: str, **body: Any) -> Callable[[World], Seed]:
    def sow(world: World) -> Seed:
        kind = "embedding" if path.endswith("embeddings") else "chat"
        served = world.serve("ok", kind=kind)
        return named(world, world.post(path, model=served.model, **body), served)

    return sow


def slow(world: World) -> Seed:
    served = world.serve("hang", first_token_s=1, total_s=1)
    return named(world, ask(world, served), served)


def hit(world: World) -> Seed:
    served, text = world.serve("ok"), unique("Hello")
    return named(world, [ask(world, served, text) for _ in range(2)][1], served)


def follower(world: World) -> Seed:
    served, text = world.serve("slow@500ms"), unique("Hello")
    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(lambda _: ask(world, served, text), range(4))]
    cache = "x-valuecanvas-cache"
    found = next(one for one in answers if one.headers[cache] == "coalesced")
    return named(world, found, served)


def replay(stream: bool = False, cached: bool = False) -> Callable[[World], Seed]:
    """The answer to a request that is the first with its key; it may be a cache hit."""

    def sow(world: World) -> Seed:
        served, text, key = world.serve("ok"), unique("Hello"), unique("key")
        if cached:
            ask(world, served, text)
        first, again = (
            ask(world, served, text, stream=stream, idempotency_key_header=key)
            for _ in range(2)
        )
        return seed(world, again, first=request_id(first))

    return sow


def prompt(world: World) -> Seed:
    stored, served = world.db(make_prompt, "Hi {{name}}."), world.serve("ok")
    named_prompt = {"id": stored.key, "variables": {"name": "Ann"}}
    answer = ask(world, served, prompt=named_prompt)
    return seed(world, answer, prompt=stored.key)


def arm(world: World) -> Seed:
    trial = Trial(world, world.serve("ok"))
    answer = trial.ask("user-1")
    return seed(world, answer, variant=trial.expected("user-1"))


def flag(world: World) -> Seed:
    served, other = world.serve("ok"), world.serve("ok")
    made = world.db(make_flag, world, model=other.model)
    answer = ask(world, served)
    return seed(world, answer, flag=made.name, one=other.providers[0])


def act_as(world: World) -> Seed:
    """The request is the named user's, who looks with a key of its own."""
    tier = world.tier
    customer, _ = world.new_customer()
    world.db(customer.api_keys.all().delete)
    text = world.new_key(scopes=["llm", "act_as", "act_as_jwt"])
    served = world.serve("ok")
    answer = ask(world, served, authorization_header=f"Bearer {text}", x_valuecanvas_user_header=customer.user_id)  # fmt: skip
    assert tier == world.tier
    _, key = world.db(make_api_key, customer)
    return seed(world, answer, (customer, key), one=served.providers[0])


def open_breaker(world: World) -> Seed:
    served = world.serve("ok")
    world.force(served.providers[0], BreakerOverride.State.OPEN)
    return named(world, ask(world, served), served)


def stream_of(world: World, end: Callable[[], object]) -> Seed:
    """A stream that has begun when `end` is called, and is left then."""
    served = world.serve("drip@20ms:500")
    with world.sdk() as client:
        messages: Any = [{"role": "user", "content": unique("Hello")}]
        raw = client.chat.completions.with_raw_response.create(
            model=served.model, messages=messages, stream=True
        )
        stream = raw.parse()
        next(iter(stream))
        end()
        stream.close()
    return Seed(raw.headers["x-request-id"], world.customer, world.key)


def departure(world: World) -> Seed:
    """The client leaves amid a stream."""
    return stream_of(world, lambda: None)


def lost_process(world: World) -> Seed:
    """Its lease is over, and the reaper settles it before its process can."""

    def end() -> None:
        held = Reservation.objects.filter(customer_id=world.customer.pk)
        held.update(lease_until=timezone.now() - timedelta(hours=2))
        assert reap() >= 1

    return stream_of(world, lambda: world.db(end))


def stand_in_price(world: World) -> Seed:
    served = world.serve("ok", prices=("",))
    found = named(world, ask(world, served), served)
    # It has one by now, and its row still says that it had none.
    world.db(Usage.objects.get, pk=found.id)
    world.db(make_price, served.providers[0], "ok")
    return found


BY_ONE = "Answered by {one}. It cost $"
FAILED = {"outcome": "failed"}
AFTER = "Answered by {two}, after {one} "

SERVED = [
    Case("whole answer", chat("ok"), "served", words=BY_ONE),
    Case("stream", chat("ok", stream=True), "served", words=BY_ONE),
    Case("embedding", post("/v1/embeddings", input="Hi."), "served", words=BY_ONE),
    Case("response", post("/v1/responses", input="Hi."), "served", words=BY_ONE),
    Case("completion", post("/api/llm/complete", prompt="Hi."), "served", words=BY_ONE),
    Case("failover of an error", chat("status-503", "ok"), "served", words=AFTER + "failed (503). It cost $"),
    Case("failover of a throttle", chat("status-429", "ok"), "served", words=AFTER + "throttled the request (429). It cost $"),
    Case("failover of a refused key", chat("status-401", "ok"), "served", words=AFTER + "refused the gateway's key (401). It cost $"),
    Case("failover of a stream", chat("reset@0", "ok", stream=True), "served", words=AFTER + "failed. It cost $"),
    Case("cache hit", hit, "served", words="Answered from the cache: no provider was called. It cost nothing."),
    Case("follower", follower, "served", words="Answered with what an identical request under way got. It cost nothing."),
    Case("usage that is not told", chat("lie_usage-absent"), "served", words="the gateway counted the tokens. It cost $"),
    Case("prompt", prompt, "served", words="Prompt '{prompt}' version 1. It cost $"),
    Case("arm of an experiment", arm, "served", words="variant '{variant}'. It cost $"),
    Case("variant of a flag", flag, "served", words=BY_ONE, console=("Flags: {flag} = b.",)),
    Case("request for a user", act_as, "served", words=BY_ONE),
    Case("replay", replay(), "replayed", words="Replay of request {first}: "),
    Case("replay of a stream", replay(stream=True), "replayed", words="Replay of request {first}: "),
    Case("replay of a cache hit", replay(cached=True), "replayed", words="Replay of request {first}: "),
    Case("error of each provider", chat("status-500", "status-503"), **FAILED, code="upstream_error", words="Before: {one} failed (500), {two} failed (503). It cost nothing.", console=("The provider failed.",)),
    Case("error that the provider found", chat("status-400"), **FAILED, code="invalid_request_error", words="It cost nothing.", console=("{one}",)),
    Case("throttle of each provider", chat("status-429"), **FAILED, code="providers_throttled", words="{one} throttled the request (429).", console=("throttle our requests",)),
    Case("slow provider", slow, **FAILED, code="upstream_timeout", words="{one} failed. It cost nothing.", console=("too slow",)),
    Case("open breaker", open_breaker, **FAILED, code="no_provider_available", words="It cost nothing.", console=("No provider was called.", "open")),
    Case("cut stream", chat("reset@5", stream=True), **FAILED, code="stream_interrupted", words="ended early, after a part of it had been sent.", console=("ended early",)),
    Case("departure of the client", departure, **FAILED, code="client_gone", words="The client closed its connection", console=("closed its connection",)),
    Case("lost process", lost_process, **FAILED, code="process_died", words="process ended while the request was under way", console=("process ended",)),
]  # fmt: skip
# At a server with other settings.
SERVED_ELSEWHERE = [
    Case("stand-in price", stand_in_price, "served", words="Answered by {one}. The model had no price: a stand-in price was billed. It cost $"),
]  # fmt: skip
