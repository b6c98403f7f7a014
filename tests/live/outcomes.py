"""Requests with every outcome, and what the gateway must say of each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
from django.utils import timezone

from billing.auth import keys
from billing.minute_limits import MinuteLimits
from billing.models import ApiKey, Budget, Customer
from tests.fixtures_billing import make_team
from tests.live.world import Answer, World, request_id, unique

CHAT = "/v1/chat/completions"


@dataclass
class Seed:
    """A request that was sent, whose it is, and who may look at it."""

    id: str
    customer: Customer
    key: str
    # What the caller was told, of a request that was not answered.
    message: str = ""
    # Parts of the explanations that depend on the seed.
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """An outcome. `words` may have the names of a seed, as in '{provider}'."""

    name: str
    sow: Callable[[World], Seed]
    outcome: str
    # Of a refusal or failure.
    code: str = ""
    # Of a refusal: the step and (scope, name) of the limit that refused.
    step: str = ""
    limit: tuple[str, str] | None = None
    # In the explanation for the caller; a refusal has its message.
    words: str = ""
    # On the page of the admin.
    console: tuple[str, ...] = ()


def seed(
    world: World, answer: Answer, who: tuple[Customer, str] | None = None, **names: str
) -> Seed:
    customer, key = who or (world.customer, world.key)
    message = answer.error["message"] if answer.status >= 400 else ""
    return Seed(request_id(answer), customer, key, message, names)


def quota(world: World) -> Seed:
    who = world.new_customer(daily_requests=0)
    return seed(world, world.chat(world.serve("ok").model, key=who[1]), who)


def quota_again(world: World) -> Seed:
    """Refused from memory."""
    who, served = world.new_customer(daily_requests=1), world.serve("ok")
    answers = [world.chat(served.model, key=who[1]) for _ in range(4)]
    return seed(world, answers[-1], who)


def budget(scope: str, period: str) -> Callable[[World], Seed]:
    """Refused by a budget that allows nothing."""

    def sow(world: World) -> Seed:
        team, tag = world.db(make_team), unique("tag")
        customer, _ = world.new_customer(daily_requests=9, team=team)
        text = world.new_key(customer, tags=[tag])
        served = world.serve("ok")
        owners: dict[str, dict[str, Any]] = {
            "customer": {"customer": customer},
            "team": {"team": team},
            "key": {"api_key_id": text[3:15]},
            "model": {"model": served.model},
            "tag": {"tag": tag},
        }
        fields = {"scope": scope, "period": period, "limit_usd": 0, **owners[scope]}
        world.db(Budget.objects.create, **fields)
        return seed(world, world.chat(served.model, key=text), (customer, text))

    return sow


def tight_budget(world: World) -> Seed:
    """A smaller cap would pass."""
    who, served = world.new_customer(daily_requests=9), world.serve("ok")
    world.budget(target=who[0], limit="0.001")
    return seed(world, world.chat(served.model, key=who[1], max_tokens=5000), who)


def minute(what: str, most: int, of_key: bool = False) -> Callable[[World], Seed]:
    """The second request of a minute, with at most 60 tokens of output."""

    def sow(world: World) -> Seed:
        tier = {} if of_key else {f"{what}_per_minute": most}
        customer, key = world.new_customer(daily_requests=9, **tier)
        if of_key:
            key = world.new_key(customer, limits=MinuteLimits(**{what: most}))
        model = world.serve("ok-62").model
        answers = [world.chat(model, key=key, max_tokens=60) for _ in range(2)]
        return seed(world, answers[1], (customer, key))

    return sow


def tokens_for_ever(world: World) -> Seed:
    who = world.new_customer(daily_requests=9, tokens_per_minute=500)
    answer = world.chat(world.serve("ok").model, key=who[1], max_tokens=1000)
    return seed(world, answer, who)


def at_once(world: World) -> Seed:
    who = world.new_customer(daily_requests=50, concurrent_requests=1)
    served = world.serve("drip@20ms:500")
    with world.sdk(who[1]) as client:
        messages: Any = [{"role": "user", "content": unique("Hello")}]
        stream: Any = client.chat.completions.create(model=served.model, messages=messages, stream=True)  # fmt: skip
        next(stream)
        answer = world.chat(served.model, key=who[1])
        stream.close()
    return seed(world, answer, who)


def chat(**body: Any) -> Callable[[World], Seed]:
    """A chat with these fields, whose model is fine unless it is one of them."""

    def sow(world: World) -> Seed:
        return seed(world, world.chat(**{"model": world.serve("ok").model, **body}))

    return sow


def raw(data: bytes, **headers: str) -> Callable[[World], Seed]:
    def sow(world: World) -> Seed:
        # So that its process knows the key, also where the body is not read.
        world.chat(world.serve("ok").model)
        return seed(world, world.request(CHAT, data, **headers))

    return sow


def messages(world: World) -> Seed:
    answer = world.post(CHAT, model=world.serve("ok").model, messages=5)
    return seed(world, answer)


def unpriced(world: World) -> Seed:
    return seed(world, world.chat(world.serve("ok", prices=("",)).model))


def no_route(world: World) -> Seed:
    return seed(world, world.chat(world.serve().model))


def limited_key(**fields: Any) -> Callable[[World], Seed]:
    """A key of the customer that may not do it; the world's own looks."""

    def sow(world: World) -> Seed:
        served, key = world.serve("ok"), world.new_key(**fields)
        return seed(world, world.chat(served.model, key=key))

    return sow


def other_user(*scopes: str) -> Callable[[World], Seed]:
    """A key with these scopes names a user who has a key."""

    def sow(world: World) -> Seed:
        other, _ = world.new_customer()
        model, key = world.serve("ok").model, world.new_key(scopes=["llm", *scopes])
        body = {"model": model, "messages": [{"role": "user", "content": "Hi."}]}
        headers = {"x_valuecanvas_user": other.user_id}
        answer = world.request(CHAT, orjson.dumps(body), key=key, **headers)
        return seed(world, answer)

    return sow


def bad_key(kind: str, path: str = "") -> Callable[[World], Seed]:
    """A key that was good a moment ago; another key of its customer looks."""

    def sow(world: World) -> Seed:
        served, text = world.serve("ok"), world.new_key()
        assert world.chat(served.model, key=text).status == 200
        if kind == "revoked":
            world.db(lambda: keys.revoke(ApiKey.objects.get(pk=text[3:15])))
        elif kind == "expired":
            row = world.db(ApiKey.objects.get, pk=text[3:15])
            row.expires_at = timezone.now() - timedelta(seconds=1)
            world.db(row.save)
        else:
            text = text[:-4] + ("aaaa" if text[-4:] != "aaaa" else "bbbb")
        # A process looks again for a key that changed.
        world.chat(served.model)
        if path:
            return seed(world, world.request(path, key=text))
        return seed(world, world.chat(served.model, key=text))

    return sow


def suspension(world: World) -> Seed:
    """Nobody of the customer can look until it is released."""
    (customer, key), served = world.new_customer(), world.serve("ok")
    assert world.chat(served.model, key=key).status == 200
    for suspended in (True, False):
        customer.suspended = suspended
        world.db(customer.save)
        world.chat(served.model)
        if suspended:
            found = seed(world, world.chat(served.model, key=key), (customer, key))
    return found


def reused_key(world: World) -> Seed:
    served, sent = world.serve("ok"), {"idempotency_key": unique("key")}
    bodies = [
        orjson.dumps({"model": served.model, "messages": [{"role": "user", "content": str(one)}]})
        for one in range(2)
    ]  # fmt: skip
    answers = [world.request(CHAT, body, **sent) for body in bodies]
    return seed(world, answers[1])


def large_answer(world: World) -> Seed:
    """Answers of this server are too large to be kept."""
    served, sent = world.serve("ok-400"), {"idempotency_key": unique("key")}
    asked = [{"role": "user", "content": unique("Hello")}]
    body = orjson.dumps({"model": served.model, "messages": asked})
    answers = [world.request(CHAT, body, **sent) for _ in range(2)]
    return seed(world, answers[1])


def look_ups(world: World) -> Seed:
    """One look-up a minute of each key at this server."""
    key = world.new_key()
    path = "/v1/requests/0198c1a2-0000-7000-8000-000000000000"
    return seed(world, [world.request(path, key=key) for _ in range(2)][1])


QUOTA, REQUESTS, TOKENS = "requests_per_day", "requests_per_minute", "tokens_per_minute"
QUOTA_LIMIT = {"outcome": "refused", "code": "insufficient_quota", "limit": ("customer", QUOTA)}  # fmt: skip
SPENT = {"outcome": "refused", "code": "budget_exceeded", "step": "admit"}
RATE = {"outcome": "refused", "code": "rate_limit_exceeded", "step": "look up"}
LATER = ("It could pass from", "raise the limit")
FORM = {"outcome": "refused", "step": "validate"}
UNFIT = {"outcome": "refused", "step": "resolve"}
KEY = {"outcome": "refused", "step": "authenticate"}

REFUSED = [
    Case("quota", quota, **QUOTA_LIMIT, step="admit", console=("The requests a day of this customer had 0 used of 0.", "higher tier")),
    Case("quota from memory", quota_again, **QUOTA_LIMIT, step="look up", console=("had 1 used of 1.", "higher tier")),
    *(
        Case(f"budget of a {scope}", budget(scope, period), **SPENT, limit=(scope, f"budget_{period}"), console=(f"The {period} budget of this {scope} had $0.00 used of $0.00.", "Raise the budget"))
        for scope, period in [("customer", "day"), ("team", "week"), ("key", "month"), ("model", "quarter"), ("tag", "total")]
    ),
    Case("budget with room", tight_budget, **SPENT, limit=("customer", "budget_day"), console=("The day budget of this customer", "A max_tokens of at most", "would have passed")),
    Case("requests a minute", minute("requests", 1), **RATE, limit=("customer", REQUESTS), console=("The requests a minute of this customer had 1 used of 1.", *LATER)),
    Case("requests a minute of a key", minute("requests", 1, of_key=True), **RATE, limit=("key", REQUESTS), console=("The requests a minute of this key had 1 used of 1.", *LATER)),
    Case("tokens a minute", minute("tokens", 150), **RATE, limit=("customer", TOKENS), console=("The tokens a minute of this customer had", *LATER)),
    Case("tokens a minute for ever", tokens_for_ever, **RATE, limit=("customer", TOKENS), console=("had 0 used of 500.", "A max_tokens of at most")),
    Case("requests at once", at_once, **RATE, limit=("customer", "requests_at_once"), console=("The requests at once of this customer had 1 used of 1.",)),
    Case("unknown model", chat(model="no-such-model"), **UNFIT, code="model_not_found", console=("'no-such-model'", "has a route")),
    Case("model without a price", unpriced, **UNFIT, code="model_unpriced", console=("has no price yet", "Add a price")),
    Case("model that the key may not use", limited_key(allowed_models=["other"]), **UNFIT, code="model_not_allowed", console=("Add the model to those",)),
    Case("model without a route", no_route, **UNFIT, code="no_route", console=("No provider serves", "Add a route")),
    Case("unsupported field", chat(provider={"a": 1}), **UNFIT, code="unsupported_parameter", console=("'provider'", "leave out this field")),
    Case("unknown prompt", chat(prompt={"id": "no-such-prompt"}), **UNFIT, code="prompt_not_found", console=("no-such-prompt",)),
    Case("messages that are none", messages, **FORM, code="invalid_request", console=("messages", "must change its request")),
    Case("invalid JSON", raw(b"{"), **FORM, code="invalid_json", console=("send valid JSON",)),
    Case("other media", raw(b"{}", content_type="text/plain"), **FORM, code="unsupported_media_type", console=("Send JSON",)),
    Case("too large a body", raw(b" " * 20_971_521), **FORM, code="request_too_large", console=("LLM_MAX_BODY_BYTES",)),
    Case("revoked key", bad_key("revoked"), **KEY, code="api_key_revoked", console=("Issue a new key.",)),
    Case("expired key", bad_key("expired"), **KEY, code="api_key_expired", console=("Issue a new key, or rotate",)),
    Case("wrong secret", bad_key("secret"), **KEY, code="invalid_api_key", console=("with another secret",)),
    Case("wrong secret of a read", bad_key("secret", "/v1/models"), **KEY, code="invalid_api_key", console=("with another secret",)),
    Case("suspended customer", suspension, **KEY, code="customer_suspended", console=("Resume the customer",)),
    Case("missing scope", limited_key(scopes=["prompts:read"]), **UNFIT, code="permission_denied", console=("'llm'", "rights of the key")),
    Case("another user", other_user(), **KEY, code="permission_denied", console=("lacks the scope 'act_as'", "rights of the key")),
    Case("another key holder", other_user("act_as", "act_as_jwt"), **KEY, code="user_has_key", console=("has an API key", "own key")),
    Case("a user of tokens", other_user("act_as"), **KEY, code="user_has_jwt", console=("bearer tokens", "act_as_jwt")),
    Case("reused idempotency key", reused_key, outcome="refused", step="admit", code="idempotency_key_reused", console=("new Idempotency-Key",)),
]  # fmt: skip
# At a server with other settings.
REFUSED_ELSEWHERE = [
    Case("answer that was not kept", large_answer, outcome="refused", step="admit", code="idempotency_answer_not_kept", console=("too large to be kept", "new Idempotency-Key")),
    Case("look-ups a minute", look_ups, **RATE, limit=("key", REQUESTS), console=("The requests a minute of this key had 1 used of 1.",)),
]  # fmt: skip
