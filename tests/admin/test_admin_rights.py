"""The page 'Who may do what'."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from valuecanvas.site.people import rights_page
from valuecanvas.site.people.ready_groups import (
    AUDITOR,
    FINANCE,
    OPERATOR,
    PROMPT_EDITOR,
    PROMPT_PUBLISHER,
    READY_GROUPS,
)

URL = "/admin/rights/"


def rows(answer: Any) -> dict[tuple[str, str], rights_page.Right]:
    areas = answer.context["areas"]
    return {(area.title, one.act): one for area in areas for one in area.rights}


def marked(answer: Any, area: str, act: str) -> set[str]:
    names = [name for name, _ in answer.context["groups"]]
    marks = rows(answer)[area, act].marks
    return {name for name, mark in zip(names, marks, strict=True) if mark}


def test_matrix__ready_groups__are_marked(boss: Client, groups: Any) -> None:
    Group.objects.create(name="Ours")
    answer = boss.get(URL)
    names = [name for name, _ in answer.context["groups"]]
    assert names == [*(one.name for one in READY_GROUPS), "Ours"]
    assert marked(answer, "Prompts", "Change") == {OPERATOR, PROMPT_EDITOR}
    publish = marked(answer, "Prompts", "Move labels and roll prompts out")
    assert publish == {OPERATOR, PROMPT_PUBLISHER}
    assert marked(answer, "API keys", "Add") == {OPERATOR}
    assert marked(answer, "Budgets", "Change") == {OPERATOR, FINANCE}
    assert marked(answer, "Users", "Change") == set()
    assert AUDITOR in marked(answer, "Status", "See the status page")
    # A page without deletion has no row that promises it.
    assert ("API keys", "Delete") not in rows(answer)
    assert ("Requests", "Add") not in rows(answer)


def test_matrix__rights_of_ready_groups__are_all_there(
    boss: Client, groups: Any
) -> None:
    answer = boss.get(URL)
    for place, one in enumerate(READY_GROUPS):
        shown = sum(right.marks[place] for right in rows(answer).values())
        assert shown == len(set(one.rights)), one.name


def test_person__in_groups_and_with_a_right__sees_where_it_is_from(
    newcomer: Client, groups: Any
) -> None:
    user = User.objects.get(username="nora")
    assert "In no group: a superuser can add you to one." in newcomer.get(URL).content.decode()  # fmt: skip
    for name in (FINANCE, AUDITOR):
        user.groups.add(Group.objects.get(name=name))
    user.user_permissions.add(Permission.objects.get(codename="view_job_content"))
    found = rows(newcomer.get(URL))
    assert found["Budgets", "See"].sources == [FINANCE, AUDITOR]
    assert found["Budgets", "Add"].sources == [FINANCE]
    assert found["Jobs", "Read the inputs and answers of jobs"].sources == ["a right of their own"]  # fmt: skip
    assert found["Prompts", "Change"].sources == []


def test_other_person__chosen__is_shown_to_superusers_only(
    boss: Client, newcomer: Client, operator: Client
) -> None:
    found = rows(boss.get(URL, {"user": "olga"}))
    assert found["Flags", "Change"].sources == [OPERATOR]
    assert rows(boss.get(URL))["Flags", "Change"].sources == ["superuser"]
    assert boss.get(URL, {"user": "nobody"}).status_code == 404
    answer = newcomer.get(URL, {"user": "olga"})
    assert answer.context["person"].username == "nora"
    assert "olga" not in answer.content.decode()


@pytest.mark.parametrize("superuser", [True, False])
def test_person__deactivated__may_nothing(boss: Client, superuser: bool) -> None:
    User.objects.create_user(
        "gone", is_staff=True, is_active=False, is_superuser=superuser
    )
    found = rows(boss.get(URL, {"user": "gone"}))
    assert not any(one.sources for one in found.values())
