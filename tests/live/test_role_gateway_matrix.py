"""S16: every route of the gateway, as every caller, equals the expected matrix."""

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver

from billing.models import ApiKey, Scope
from llm.jobs.views.base import OwnedView
from tests.fixtures_billing import make_api_key
from tests.live.world import World, unique
from tests.security.access_rules import ANY_KEY, ANYONE, GATEWAY

pytestmark = pytest.mark.live
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NOBODY, SESSION, NO_SCOPE = "nobody", "session", "no scope"
CALLERS = (NOBODY, SESSION, NO_SCOPE, *Scope.values)
# Enough to get as far as the caller is looked at; nothing is found or billed.
CHAT = {"model": "no-such-model", "messages": [{"role": "user", "content": "Hi"}]}
BODIES = {
    "v1/chat/completions": CHAT,
    "v1/embeddings": {"model": "no-such-model", "input": "Hi"},
    "v1/responses": {"model": "no-such-model", "input": "Hi"},
    "v1/feedback": {"request_id": "0198c1a2-0000-7000-8000-000000000000", "score": 1},
    "api/llm/complete": {"model": "no-such-model", "prompt": "Hi"},
    "api/llm/jobs": {"type": "completion", "body": CHAT},
    "v1/batches": {"endpoint": "/v1/chat/completions"},
}


def headers_of(world: World, caller: str) -> dict[str, str]:
    if caller == NOBODY:
        return {}
    if caller == SESSION:
        return {"cookie": f"sessionid={world.db(_begin_session)}"}
    key, text = world.db(make_api_key, world.customer)
    scopes = [] if caller == NO_SCOPE else [caller]
    # Not every scope is issued alone.
    world.db(lambda: ApiKey.objects.filter(pk=key.pk).update(scopes=scopes))
    return {"authorization": f"Bearer {text}"}


def _begin_session() -> str:
    client = Client()
    client.force_login(User.objects.create_superuser(unique("boss")))
    return client.cookies["sessionid"].value


def may(caller: str, rule: str) -> bool:
    if rule == ANYONE:
        return True
    if caller in (NOBODY, SESSION):
        return False
    if rule == ANY_KEY:
        return True
    return rule == caller


def fault_of(caller: str, method: str, rule: str | None, status: int) -> str:
    if status >= 500:
        return "an internal error"
    if method == "OPTIONS":
        return "" if status == 204 else "not 204"
    if rule is None:
        return "" if status == 405 else "not 405"
    if may(caller, rule):
        return "refused, but allowed" if status in (401, 403, 405) else ""
    wanted = 401 if caller in (NOBODY, SESSION) else 403
    return "" if status == wanted else f"not {wanted}"


@pytest.mark.parametrize("caller", CALLERS)
def test_gateway__each_route_and_method__answers_as_the_matrix_says(
    world: World, caller: str
) -> None:
    headers, faults = headers_of(world, caller), []
    for route, rules in GATEWAY.items():
        path = "/" + route.replace("<str:key>", "none").replace("<path:name>", "none")
        for name in ("callback", "job", "batch", "file", "request"):
            path = path.replace(f"<str:{name}_id>", "0198c1a2-0000-7000-8000-000000000000")  # fmt: skip
        body = orjson.dumps(BODIES.get(route, {}))
        for method in METHODS:
            rule = rules.get("GET" if method == "HEAD" else method)
            sent = body if method in ("POST", "PUT", "PATCH") else None
            answer = world.request(path, sent, method=method, key="", **headers)
            if fault := fault_of(caller, method, rule, answer.status):
                faults.append(f"{method} {route}: {answer.status}, {fault}")
    assert not faults, "\n".join(faults)


def test_route__with_an_id_of_a_customer__has_the_base_class_of_what_is_owned() -> None:
    """S23: tenant scoping is in one place."""
    named = [route for route in GATEWAY if "_id>" in route]
    assert len(named) == 15
    found = {
        route: one.callback
        for resolver in get_resolver("valuecanvas.http.hot_urls").url_patterns
        for one in getattr(resolver, "url_patterns", [resolver])
        if (route := str(one.pattern)) in named
    }
    assert set(found) == set(named)
    assert all(issubclass(view.cls, OwnedView) for view in found.values())
