"""Every list, add and change page, for each kind of user."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin.rows import MAKE
from valuecanvas.core.admin.bases import Admin, ReadOnlyAdmin
from valuecanvas.site.people.ready_groups import OPERATED

LABELS = sorted(MAKE)
WRITABLE = [
    label
    for label in LABELS
    if not issubclass(type(admin.site.get_model_admin(apps.get_model(label))), ReadOnlyAdmin)
]  # fmt: skip
HIDDEN = sorted(set(LABELS) - set(OPERATED))


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    settings.CHAOS_ENABLED = True


def page(label: str, kind: str, *args: Any) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{kind}", args=args)


def queries_of(client: Client, url: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def test_admin__every_registered_model__is_tested_here_and_has_our_base() -> None:
    registered = {model._meta.label_lower for model in admin.site._registry}
    assert registered == set(LABELS)
    assert all(isinstance(one, Admin) for one in admin.site._registry.values())


@pytest.mark.parametrize("label", LABELS)
def test_list_page__more_rows__no_more_queries(label: str, boss: Client) -> None:
    MAKE[label]()
    url = page(label, "changelist")
    boss.get(url)  # content types and such are looked up once
    before = queries_of(boss, url)
    for _ in range(5):
        MAKE[label]()
    assert queries_of(boss, url) == before
    assert before <= 14


@pytest.mark.parametrize("label", LABELS)
def test_list_page__columns__at_most_eight(label: str) -> None:
    shown = admin.site.get_model_admin(apps.get_model(label)).list_display
    assert 1 <= len(shown) <= 8


@pytest.mark.parametrize("label", LABELS)
def test_list_page__no_match__says_so(label: str, boss: Client) -> None:
    if admin.site.get_model_admin(apps.get_model(label)).search_fields:
        answer = boss.get(page(label, "changelist"), {"q": "no-such-thing-anywhere"})
        assert "Nothing matches" in answer.content.decode()


@pytest.mark.parametrize("label", LABELS)
def test_change_page__superuser__opens(label: str, boss: Client) -> None:
    row = MAKE[label]()
    answer = boss.get(page(label, "change", row.pk))
    assert answer.status_code == 200
    assert page(label, "changelist") in answer.content.decode()


@pytest.mark.parametrize("label", LABELS)
def test_add_page__superuser__opens_unless_it_is_history(
    label: str, boss: Client
) -> None:
    wanted = 200 if label in WRITABLE else 403
    assert boss.get(page(label, "add")).status_code == wanted


@pytest.mark.parametrize("label", sorted(OPERATED))
def test_pages__auditor__looks_and_cannot_change(label: str, auditor: Client) -> None:
    row = MAKE[label]()
    assert auditor.get(page(label, "changelist")).status_code == 200
    shown = auditor.get(page(label, "change", row.pk))
    assert shown.status_code == 200
    assert 'name="_save"' not in shown.content.decode()
    assert auditor.post(page(label, "change", row.pk), {}).status_code == 403
    assert auditor.get(page(label, "add")).status_code == 403
    assert auditor.get(page(label, "delete", row.pk)).status_code == 403


@pytest.mark.parametrize("label", LABELS)
def test_pages__no_rights__forbidden(label: str, newcomer: Client) -> None:
    row = MAKE[label]()
    assert newcomer.get(page(label, "changelist")).status_code == 403
    assert newcomer.get(page(label, "change", row.pk)).status_code == 403


@pytest.mark.parametrize("label", HIDDEN)
def test_pages__operator__not_users_nor_schedules(label: str, operator: Client) -> None:
    assert operator.get(page(label, "changelist")).status_code == 403


@pytest.mark.parametrize("label", sorted(set(LABELS) - set(WRITABLE)))
def test_history__superuser__cannot_change_or_delete(label: str, boss: Client) -> None:
    row = MAKE[label]()
    assert boss.post(page(label, "change", row.pk), {}).status_code == 403
    assert boss.post(page(label, "delete", row.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    "label", ["billing.tier", "billing.team", "llm.model", "llm.provider"]
)
def test_change_page__name_that_others_refer_to__is_fixed(
    label: str, boss: Client
) -> None:
    row = MAKE[label]()
    field = apps.get_model(label)._meta.pk.name
    assert (
        f'name="{field}"'
        not in boss.get(page(label, "change", row.pk)).content.decode()
    )


def test_empty_list__someone_who_may_add__is_told_what_to_do(boss: Client) -> None:
    text = boss.get(page("llm.provider", "changelist")).content.decode()
    assert "No providers yet" in text
    assert "test the connection" in text
    assert page("llm.provider", "add") in text
