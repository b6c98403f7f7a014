"""S17: while chaos is off none of its URLs is there, for nobody; on, the matrices hold.

On: test_role_admin_matrix.py and test_role_route_matrix.py have each of the URLs.
"""

from typing import Any

import pytest
from django.test import Client

from llm.models.chaos import ChaosRun
from tests.admin.chaos_rows import make_active_run
from tests.admin.crawl import fill, make_rows, routes
from tests.security.access_rules import REST
from tests.security.roles import ANONYMOUS, KEYS, PEOPLE, ask, make_role

pytestmark = pytest.mark.django_db
METHODS = ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE")


def chaos_paths() -> list[str]:
    """Every URL of the admin that is of chaos."""
    rows = make_rows()
    return [
        fill(pattern, rows)
        for _, pattern in routes()
        if pattern.startswith("llm/chaos") and "(" not in pattern
    ]


@pytest.mark.parametrize("name", PEOPLE)
def test_pages__chaos_is_off__are_404_for_every_role(name: str, settings: Any) -> None:
    settings.CHAOS_ENABLED = False
    role, paths = make_role(name), chaos_paths()
    assert len(paths) > 18
    found = {
        f"{method} {path}": ask(role, method, path).status_code
        for path in paths
        for method in METHODS
    }
    assert {one: status for one, status in found.items() if status != 404} == {}


@pytest.mark.parametrize("name", [*PEOPLE, *KEYS])
def test_rest__chaos_is_off__is_404_for_every_role(name: str, settings: Any) -> None:
    settings.CHAOS_ENABLED = False
    role, run = make_role(name), make_active_run()
    for path in ("/api/chaos/runs", f"/api/chaos/runs/{run.pk}", "/api/chaos/runs/"):
        for method in METHODS:
            answer = ask(role, method, path)
            assert answer.status_code == 404, f"{method} {path}"


def test_rest__all_routes_of_chaos__only_read() -> None:
    rules = {route: [*found] for route, found in REST.items() if "chaos" in route}
    assert rules == {"api/chaos/runs": ["GET"], "api/chaos/runs/<str:run_id>": ["GET"]}


def test_frame__chaos_is_off__shows_nothing_of_it(settings: Any) -> None:
    settings.CHAOS_ENABLED = False
    make_active_run()
    client = make_role("superuser").client
    answer = client.get("/admin/")
    titles = [one["title"] for one in answer.context["sidebar_navigation"]]
    assert "Chaos" not in titles
    assert b"chaos" not in answer.content.lower()
    assert b"chaos" not in client.get("/admin/llm/").content.lower()
    found = client.get("/admin/search/", {"s": "chaos"}).content.lower()
    assert b"/admin/llm/chaos" not in found


def test_start__by_whoever_is_no_superuser__is_refused(settings: Any) -> None:
    settings.CHAOS_ENABLED = True
    [start] = [one for one in chaos_paths() if one.endswith("/start/")]
    before = ChaosRun.objects.count()
    for name in PEOPLE:
        if name == "superuser":
            continue
        role = make_role(name)
        assert role.client.post(start).status_code in (302, 403), name
        assert ChaosRun.objects.count() == before, name


@pytest.mark.parametrize("name", PEOPLE)
def test_stop_all__by_each_role__stops_for_whoever_may(
    name: str, settings: Any
) -> None:
    settings.CHAOS_ENABLED = True
    run, role = make_active_run(), make_role(name)
    role.client.post("/admin/llm/chaosrun/stop-all/")
    run.refresh_from_db()
    assert (run.state == "stopped") is (name in ("Operator", "superuser"))


def test_stop_all__without_a_csrf_token__does_nothing(settings: Any) -> None:
    settings.CHAOS_ENABLED = True
    run, role = make_active_run(), make_role("superuser")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = role.client.cookies
    assert strict.post("/admin/llm/chaosrun/stop-all/").status_code == 403
    run.refresh_from_db()
    assert run.state == "running"


def test_anonymous__chaos_is_on__is_led_to_the_login(settings: Any) -> None:
    settings.CHAOS_ENABLED = True
    client = make_role(ANONYMOUS).client
    for path in chaos_paths():
        answer = client.get(path)
        assert answer.status_code == 302, path
        assert answer["Location"].startswith("/admin/"), path
