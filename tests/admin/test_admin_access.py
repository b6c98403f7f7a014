"""Who may change who may what, and the log of what was changed."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client

from tests.fixtures_billing import make_team
from valuecanvas.site import groups as the_groups
from valuecanvas.site.groups import ensure_groups
from valuecanvas.site.people.ready_groups import (
    AUDITOR,
    OPERATOR,
    READY_GROUPS,
    ReadyGroup,
)

USERS = "/admin/auth/user/"


def test_users__superuser__adds_an_operator(boss: Client, groups: Any) -> None:
    secret = "correct-horse-battery"
    form = {"username": "otto", "password1": secret, "password2": secret, "usable_password": "true"}  # fmt: skip
    assert boss.post(f"{USERS}add/", form).status_code == 302
    user = User.objects.get(username="otto")
    group = Group.objects.get(name=OPERATOR)
    fields = {
        "username": "otto",
        "is_active": "on",
        "is_staff": "on",
        "groups": [group.pk],
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }
    assert boss.post(f"{USERS}{user.pk}/change/", fields).status_code == 302
    assert user.groups.get() == group
    text = boss.get(USERS).content.decode()
    assert OPERATOR in text
    assert "superuser" in text


def test_users__superuser__sets_a_password(boss: Client) -> None:
    user = User.objects.create_user("otto")
    secret = "correct-horse-battery"
    form = {"password1": secret, "password2": secret, "usable_password": "true"}
    assert boss.get(f"{USERS}{user.pk}/password/").status_code == 200
    assert boss.post(f"{USERS}{user.pk}/password/", form).status_code == 302
    user.refresh_from_db()
    assert user.check_password(secret)


def test_own_password__any_user__can_change_it(newcomer: Client) -> None:
    secret = "correct-horse-battery"
    form = {"old_password": "pw", "new_password1": secret, "new_password2": secret}
    assert newcomer.get("/admin/account/password/").status_code == 200
    assert newcomer.post("/admin/account/password/", form).status_code == 302
    assert User.objects.get(username="nora").check_password(secret)


def test_ensure_groups__twice__makes_them_once(db: None) -> None:
    assert ensure_groups() == [one.name for one in READY_GROUPS]
    assert ensure_groups() == []


def test_ensure_groups__rights_that_were_changed__are_left_alone(groups: Any) -> None:
    group = Group.objects.get(name=OPERATOR)
    group.permissions.clear()
    ensure_groups()
    assert not group.permissions.exists()


def test_ensure_groups__auditors__only_look(groups: Any) -> None:
    rights = Group.objects.get(name=AUDITOR).permissions
    assert not rights.exclude(codename__startswith="view_").exists()


def test_ensure_groups__operators__no_users_and_no_endpoints(groups: Any) -> None:
    rights = Group.objects.get(name=OPERATOR).permissions
    assert not rights.filter(content_type__app_label="auth").exists()
    assert not rights.filter(codename="set_provider_endpoint").exists()
    assert rights.filter(codename="use_playground").exists()


def test_ensure_groups__slip_of_the_pen__is_found(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ReadyGroup("Pilot", "Flies.", ("billing.fly",))
    monkeypatch.setattr(the_groups, "READY_GROUPS", (wrong,))
    with pytest.raises(LookupError, match="billing.fly"):
        ensure_groups()


def test_audit_log__change__says_who_what_and_when(boss: Client) -> None:
    team = make_team(name="Before")
    page = f"/admin/billing/team/{team.pk}/change/"
    boss.post(page, {"name": "After"})
    entry = LogEntry.objects.get()
    text = boss.get("/admin/admin/logentry/").content.decode()
    assert "Changed Name." in text
    assert "boss" in text
    assert entry.object_id == team.pk
    history = boss.get(f"/admin/billing/team/{team.pk}/history/", follow=True)
    assert "name Before → After" in history.content.decode()


def test_audit_log__search__by_user_or_object(boss: Client) -> None:
    team = make_team()
    boss.post(f"/admin/billing/team/{team.pk}/change/", {"name": "After"})
    for asked in ("boss", team.pk):
        answer = boss.get("/admin/admin/logentry/", {"q": asked})
        assert len(answer.context["cl"].result_list) == 1
