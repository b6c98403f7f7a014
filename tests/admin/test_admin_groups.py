"""The built-in groups over upgrades: new rights come, changes by hand stay."""

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command

from billing.models import Team
from valuecanvas.core.models import GivenRight
from valuecanvas.site import groups as the_groups
from valuecanvas.site.groups import ensure_groups
from valuecanvas.site.people.ready_groups import AUDITOR, OPERATOR, READY_GROUPS

KILL, ADD_KEY = "flags.kill_flag", "billing.add_apikey"


def rights(name: str = OPERATOR) -> set[str]:
    found = Group.objects.get(name=name).permissions.select_related("content_type")
    return {f"{one.content_type.app_label}.{one.codename}" for one in found}


def permission(right: str) -> Permission:
    app, codename = right.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


def take(right: str) -> None:
    Group.objects.get(name=OPERATOR).permissions.remove(permission(right))


OPERATED = next(one.rights for one in READY_GROUPS if one.name == OPERATOR)


def operate(monkeypatch: pytest.MonkeyPatch, *rights: str) -> None:
    """Let a version grant operators these rights."""
    found = [
        replace(one, rights=rights) if one.name == OPERATOR else one
        for one in READY_GROUPS
    ]
    monkeypatch.setattr(the_groups, "READY_GROUPS", found)


def test_upgrade__right_that_is_new__is_given(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = [right for right in OPERATED if right != KILL]
    operate(monkeypatch, *older)
    ensure_groups()
    assert KILL not in rights()
    operate(monkeypatch, *OPERATED)
    assert ensure_groups() == [OPERATOR]
    assert KILL in rights()
    assert ensure_groups() == []


def test_upgrade__right_taken_away_by_hand__stays_away(
    groups: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(ADD_KEY)
    operate(monkeypatch, *OPERATED, "auth.view_group")
    assert ensure_groups() == [OPERATOR]
    assert ADD_KEY not in rights()
    assert "auth.view_group" in rights()


def test_upgrade__right_added_by_hand__stays(groups: Any) -> None:
    Group.objects.get(name=AUDITOR).permissions.add(permission("auth.view_user"))
    assert ensure_groups() == []
    assert "auth.view_user" in rights(AUDITOR)


def test_upgrade__right_no_longer_given__is_taken_back_once(
    groups: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    operate(monkeypatch, *(right for right in OPERATED if right != KILL))
    assert ensure_groups() == [OPERATOR]
    assert KILL not in rights()
    Group.objects.get(name=OPERATOR).permissions.add(permission(KILL))
    assert ensure_groups() == []
    assert KILL in rights()


def test_upgrade__right_whose_permission_has_gone__is_forgotten(groups: Any) -> None:
    group = Group.objects.get(name=OPERATOR)
    GivenRight.objects.create(group=group, right="llm.use_telegraph")
    before = rights()
    ensure_groups()
    assert rights() == before
    assert not GivenRight.objects.filter(right="llm.use_telegraph").exists()


def test_first_upgrade__group_from_before_the_memory__gets_only_what_came_since(
    groups: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(ADD_KEY)
    GivenRight.objects.all().delete()
    Group.objects.filter(name=OPERATOR).update(name="Operators")
    kind = ContentType.objects.get_for_model(Team)
    Permission.objects.create(content_type=kind, codename="praise_team", name="Praise")
    operate(monkeypatch, *OPERATED, "billing.praise_team")
    assert ensure_groups() == [OPERATOR]
    assert "billing.praise_team" in rights()
    assert ADD_KEY not in rights()


def test_first_upgrade__group_emptied_by_hand__stays_empty(groups: Any) -> None:
    GivenRight.objects.all().delete()
    group = Group.objects.get(name=OPERATOR)
    group.permissions.clear()
    Group.objects.filter(pk=group.pk).update(name="Operators")
    assert ensure_groups() == [OPERATOR]
    assert rights() == set()
    assert Group.objects.get(name=OPERATOR) == group


def test_upgrade__group_with_its_former_name__keeps_members_and_changes(
    groups: Any,
) -> None:
    take(ADD_KEY)
    group = Group.objects.get(name=OPERATOR)
    member = User.objects.create_user("mona", is_staff=True)
    member.groups.add(group)
    Group.objects.filter(pk=group.pk).update(name="Operators")
    assert ensure_groups() == [OPERATOR]
    assert member.groups.get() == Group.objects.get(name=OPERATOR)
    assert ADD_KEY not in rights()
    assert KILL in rights()
    assert ensure_groups() == []


def test_upgrade__own_group_with_a_ready_name__gets_no_right(db: None) -> None:
    """S5: members of a company's own group get nothing by an upgrade."""
    for name in ("Finance", OPERATOR):
        Group.objects.create(name=name).permissions.add(permission("auth.view_user"))
    Group.objects.create(name="Operators").permissions.add(permission(ADD_KEY))
    ensure_groups()
    assert rights("Finance") == rights() == {"auth.view_user"}
    assert rights("Operators") == {ADD_KEY}
    assert "Finance" not in ensure_groups()


def test_upgrade__group_deleted__is_made_anew(groups: Any) -> None:
    Group.objects.get(name=OPERATOR).delete()
    assert ensure_groups() == [OPERATOR]
    assert KILL in rights()


def test_groups_command__twice__says_what_it_did(db: None) -> None:
    said = StringIO()
    call_command("groups", stdout=said)
    call_command("groups", stdout=said)
    assert said.getvalue().splitlines() == [
        "Changed: Operator, Prompt editor, Prompt publisher, Flag editor, Finance, "
        "Auditor, Support read-only.",
        "Nothing to change.",
    ]
