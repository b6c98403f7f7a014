"""S5, S16: every URL of the admin as every role equals the expected matrix."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.template.backends.django import Template

from tests.admin.crawl import fill, make_rows, routes
from tests.faults.counts import FULL
from tests.security.access_rules import (
    ANYONE,
    MODELS,
    PAGES,
    POST_ONLY,
    STAFF,
    SUPERUSER,
    SUPERUSERS_ONLY,
    WRITES,
)
from tests.security.roles import ANONYMOUS, OUTSIDER, PEOPLE, Role, ask, make_role

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    """Off, all of its pages are 404 for everybody: test_s17_chaos.py."""
    settings.CHAOS_ENABLED = True


STANDARD = re.compile(r"(.+)_(changelist|add|change|delete|history)")
# Old addresses of objects lead to the change page; the last one is the admin's 404.
NAMELESS = re.compile(r".+/<path:object_id>/|\(\?P<url>\.\*\)\$")
LABELS = {label.replace(".", "_"): label for label in (*MODELS, *SUPERUSERS_ONLY)}
# An allowed POST reaches other machines, ends the session, or needs a transaction of its
# own.
NOT_SENT = (
    "backups_make", "billing_ledger_health", "backups_backup_verify", "billing_alertchannel_test",
    "llm_chaos_drill",
    "llm_playground", "llm_prompt_try", "llm_provider_test", "llm_provider_discover",
    "llm_provider_add_models", "logout",
)  # fmt: skip
METHODS = ("GET", "POST", *(("HEAD", "PUT", "PATCH", "DELETE") if FULL else ()))


def may(role: Role, name: str, pattern: str, method: str) -> bool | None:
    """By the matrix; None: it is the same for everybody. Raises KeyError without a rule."""
    if not name:
        assert NAMELESS.fullmatch(pattern), f"no rule for {pattern}"
        return None
    if name in PAGES:
        return _may_page(role, name, method)
    found = STANDARD.fullmatch(name)
    if found is None:
        raise KeyError(name)
    return _may_standard(role, LABELS[found[1]], found[2], method)


def _may_page(role: Role, name: str, method: str) -> bool | None:
    rule = PAGES[name]
    if rule == ANYONE or " the " in f" {rule} " or rule.startswith("any "):
        return None
    if rule == STAFF:
        return True
    if rule == SUPERUSER:
        return role.name == SUPERUSER
    if method in ("GET", "HEAD"):
        return None if name in POST_ONLY else role.may(*rule.split())
    return role.may(*rule.split(), *WRITES.get(name, "").split())


def _may_standard(role: Role, label: str, act: str, method: str) -> bool:
    app, model = label.split(".")
    if act in ("changelist", "history") or (act, method) in (
        ("change", "GET"),
        ("change", "HEAD"),
    ):
        return role.may(f"{app}.view_{model}")
    if label in SUPERUSERS_ONLY:
        return role.name == SUPERUSER
    return act in MODELS[label].split() and role.may(f"{app}.{act}_{model}")


def is_refused(answer: Any) -> bool:
    to_login = str(answer.get("Location", "")).startswith("/admin/login/")
    return bool(answer.status_code == 403 or to_login)


def fault_of(role: Role, allowed: bool | None, answer: Any) -> str:
    if answer.status_code >= 500:
        return "an internal error"
    if role.name in (ANONYMOUS, OUTSIDER):
        allowed = False if allowed is not None else None
    # A method that a page does not have is the same for everybody.
    if allowed is None or answer.status_code == 405:
        return ""
    if allowed and is_refused(answer):
        return "refused, but allowed"
    return "not refused" if not allowed and not is_refused(answer) else ""


def test_route__each_of_the_admin__has_a_rule() -> None:
    role = make_role(ANONYMOUS)
    for name, pattern in routes():
        may(role, name, pattern, "GET")
    names = {name for name, _ in routes()}
    assert set(PAGES) <= names
    assert {*POST_ONLY, *WRITES} <= set(PAGES)
    assert set(LABELS.values()) == {
        one._meta.label_lower for one in admin.site._registry
    }


@pytest.mark.parametrize("name", PEOPLE)
def test_admin__each_url__answers_as_the_matrix_says(
    name: str, groups_made: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rights are checked before a page is rendered, which takes most of the time; that
    # each page can be rendered is tests/admin/test_admin_crawl.py's.
    monkeypatch.setattr(Template, "render", lambda *asked, **more: "")
    rows, role, faults, seen = make_rows(), make_role(name), [], 0
    for url_name, pattern in routes():
        path = fill(pattern, rows) if "(" not in pattern else "/admin/billing/"
        for method in METHODS:
            allowed = may(role, url_name, pattern, method)
            if url_name in NOT_SENT and method != "GET" and allowed is not False:
                continue
            answer = ask(role, method, path)
            seen += 1
            if fault := fault_of(role, allowed, answer):
                faults.append(
                    f"{method} {path} ({url_name}): {answer.status_code}, {fault}"
                )
    assert not faults, "\n".join(faults)
    assert seen > 400


@pytest.fixture
def groups_made(db: None) -> None:
    """Before the rows: so all roles see the same ones."""


def test_actions__of_each_list__name_the_rights_that_they_need() -> None:
    request = HttpRequest()
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    found = 0
    for page in admin.site._registry.values():
        for function, name, _ in filter(None, page.get_actions(request).values()):
            assert getattr(function, "allowed_permissions", None), f"{page}: {name}"
            found += 1
        kinds = ("actions_list", "actions_row", "actions_detail", "actions_submit_line")
        for name in (one for kind in kinds for one in getattr(page, kind)):
            assert getattr(page, name).allowed_permissions, f"{page}: {name}"
            found += 1
    assert found > 30


@pytest.mark.parametrize(
    ("app", "seen"), [("billing", True), ("flags", False), ("auth", False)]
)
def test_app_list__of_finance__is_what_they_may_see(app: str, seen: bool) -> None:
    role = make_role("Finance")
    assert (ask(role, "GET", f"/admin/{app}/").status_code == 200) is seen


@pytest.mark.parametrize(("name", "status"), [("Finance", 200), ("Flag editor", 403)])
def test_autocomplete__of_customers__needs_the_right_to_view(
    name: str, status: int
) -> None:
    path = (
        "/admin/autocomplete/?app_label=billing&model_name=apikey&field_name=customer"
    )
    assert ask(make_role(name), "GET", path).status_code == status
