"""S16: every route as every role equals the expected matrix; none is without a rule.

Of the REST API and open pages here; tests/live/test_role_gateway_matrix.py has the
gateway.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from tests.admin.chaos_rows import make_chaos_run
from tests.fixtures_billing import make_customer
from tests.flags.rows import make_flag
from tests.prompts.experiments.rows import make_draft
from tests.security.access_rules import GATEWAY, OPEN, REST, SUPERUSER, Rest
from tests.security.roles import (
    ANONYMOUS,
    KEYS,
    PEOPLE,
    Role,
    ask,
    make_role,
)

pytestmark = pytest.mark.django_db
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, Any]]:
    for one in resolver.url_patterns:
        path = before + str(one.pattern)
        if isinstance(one, URLPattern):
            yield path, one.callback
        elif path != "admin/":
            yield from routes(one, path)


def test_route__each_of_the_urlconf__has_a_rule() -> None:
    found = {path.rstrip("/") for path, _ in routes(get_resolver("valuecanvas.urls"))}
    assert found == {*REST, *GATEWAY, *OPEN}
    hot = {path for path, _ in routes(get_resolver("valuecanvas.http.hot_urls"))}
    assert hot == set(GATEWAY)


def test_route__with_a_slash_at_its_end__is_the_same_view() -> None:
    found = dict(routes(get_resolver("valuecanvas.urls")))
    slashed = [path for path in found if path.endswith("/")]
    assert len(slashed) > 30
    for path in slashed:
        assert found[path].cls is found[path.rstrip("/")].cls, path


@pytest.fixture
def known(db: None) -> dict[str, str]:
    """By a route's parameter, what is there."""
    experiment = make_draft()
    return {
        "api/prompts": experiment.prompt.key,
        "api/flags": make_flag().name,
        "api/experiments": experiment.key,
        "api/customers": make_customer().user_id,
        "api/chaos": str(make_chaos_run().pk),
    }


def fill(route: str, known: dict[str, str]) -> str:
    key = known.get("/".join(route.split("/")[:2]), "1")
    for name in ("<str:key>", "<path:user_id>", "<str:run_id>"):
        route = route.replace(name, key)
    for name in ("<str:version>", "<int:number>"):
        route = route.replace(name, "1")
    return "/" + route.replace("<str:name>", "latest")


def may(role: Role, rule: Rest) -> bool:
    if role.is_key:
        return role.scope in {rule.scope, rule.instead} - {""}
    return bool(rule.right) and role.may(rule.right)


def fault_of(role: Role, method: str, rule: Rest | None, status: int) -> str:
    """What is wrong with the answer; '' if it is as expected."""
    if status >= 500:
        return "an internal error"
    if method == "OPTIONS":
        # For browsers, before anybody is known: it names methods and headers.
        return "" if status == 204 else "not 204"
    if role.name == ANONYMOUS:
        return "" if status == 401 else "not 401"
    if rule is None:
        return "" if status in (403, 405) else "not refused as no method of it"
    if may(role, rule):
        return "refused, but allowed" if status in (401, 403, 405) else ""
    return "" if status == 403 else "not 403"


@pytest.mark.parametrize("name", [*PEOPLE, *KEYS])
def test_rest__each_route_and_method__answers_as_the_matrix_says(
    name: str, known: dict[str, str], settings: Any
) -> None:
    settings.CHAOS_ENABLED = True
    role, faults, seen = make_role(name), [], 0
    for route, rules in REST.items():
        for method in METHODS:
            rule = rules.get("GET" if method == "HEAD" else method)
            # A method that a view does not have is the same for everybody.
            if rule is None and name not in (ANONYMOUS, SUPERUSER, KEYS[0]):
                continue
            answer = ask(role, method, fill(route, known))
            seen += 1
            if fault := fault_of(role, method, rule, answer.status_code):
                faults.append(f"{method} {route}: {answer.status_code}, {fault}")
    assert not faults, "\n".join(faults)
    assert seen > 70


@pytest.mark.parametrize("route", OPEN)
@pytest.mark.parametrize("method", METHODS)
def test_open_page__anonymous__answers_its_methods_alone(
    route: str, method: str
) -> None:
    path = "/" + route.replace("<path:rest>", "nothing")
    status = ask(make_role(ANONYMOUS), method, path).status_code
    allowed = {*OPEN[route], *({"HEAD"} if "GET" in OPEN[route] else ()), "OPTIONS"}
    # What everybody may open asks for no log-in, but for a key, or leads to one.
    assert (status < 400) is (method in allowed), status


def test_open_page__own_usage__shows_nothing_without_a_key() -> None:
    for method, status in (("GET", 200), ("POST", 401)):
        answer = ask(make_role(ANONYMOUS), method, "/usage")
        assert answer.status_code == status
        assert "Sign in with your API key" in answer.content.decode()
