"""Inviting a colleague: the one-time link, and what makes it void."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core import mail
from django.test import Client
from django.utils import timezone

from valuecanvas.core.audit.models import AuditEntry
from valuecanvas.site.people import accounts
from valuecanvas.site.people.ready_groups import FINANCE, PROMPT_EDITOR

USERS = "/admin/auth/user/"
SECRET = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _groups(groups: Any) -> None:
    """The ready groups are there."""


def invite(
    boss: Client, email: str = "Pia@A.example", *, follow: bool = True, **fields: Any
) -> Any:
    chosen = Group.objects.filter(name__in=[FINANCE, PROMPT_EDITOR])
    form = {"name": "Pia Meyer Lund", "email": email, "groups": [g.pk for g in chosen]}
    return boss.post(f"{USERS}invite/", form | fields, follow=follow)


def link_in(answer: Any) -> str:
    found: str = answer.context["link"]
    return found.removeprefix("http://testserver")


def accept(link: str, secret: str = SECRET) -> Any:
    """Open the link as the colleague does, and choose a password."""
    client = Client()
    page = client.get(link, follow=True)
    if not page.context["validlink"]:
        return page
    form = {"new_password1": secret, "new_password2": secret}
    return client.post(page.request["PATH_INFO"], form, follow=True)


def events() -> list[str]:
    rows = AuditEntry.objects.filter(kind="auth.user", action__startswith="user.")
    return list(rows.order_by("pk").values_list("action", flat=True))


def invited() -> User:
    return User.objects.get(username="pia@a.example")


def test_invite__new_colleague__gets_an_account_and_a_link(boss: Client) -> None:
    answer = invite(boss)
    user = invited()
    assert (user.first_name, user.last_name) == ("Pia", "Meyer Lund")
    assert (user.is_staff, user.is_superuser, user.is_active) == (True, False, True)
    assert not user.has_usable_password()
    assert {one.name for one in user.groups.all()} == {FINANCE, PROMPT_EDITOR}
    assert LogEntry.objects.get(object_id=user.pk).change_message == "Invited."
    assert "No mail server is set" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    again = boss.get(f"{USERS}{user.pk}/invited/")
    assert link_in(answer) not in again.content.decode()
    assert "invited" in boss.get(USERS).content.decode()


def test_links__of_two_who_are_invited_at_once__are_each_shown(boss: Client) -> None:
    shown = [invite(boss, email, follow=False) for email in ("Pia@A.example", "bo@a.example")]  # fmt: skip
    links = [link_in(boss.get(one["Location"])) for one in shown]
    names = [Client().get(one, follow=True).context["form"].user.email for one in links]
    assert names == ["pia@a.example", "bo@a.example"]


def test_link__password_chosen__logs_in_and_works_once(boss: Client) -> None:
    link = link_in(invite(boss))
    answer = accept(link)
    assert answer.request["PATH_INFO"] == "/admin/login/"
    assert invited().check_password(SECRET)
    assert "does not work any more" in accept(link, "another-horse").content.decode()
    assert invited().check_password(SECRET)
    assert not accounts.may_be_invited(invited())
    assert events() == ["user.invited", "user.invitation_accepted"]
    entry = AuditEntry.objects.get(action="user.invited")
    assert (entry.actor, entry.object_id) == ("boss", str(invited().pk))


def test_link__opened__is_not_in_the_address_that_is_sent_on(boss: Client) -> None:
    link = link_in(invite(boss))
    token = link.rstrip("/").rpartition("/")[2]
    page = Client().get(link, follow=True)
    assert token not in page.request["PATH_INFO"]
    assert token not in page.content.decode()


def test_link__weak_password__is_refused(boss: Client) -> None:
    answer = accept(link_in(invite(boss)), "12345678")
    assert "entirely numeric" in answer.content.decode()
    assert not invited().has_usable_password()


def test_link__too_old__is_void(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    link = link_in(invite(boss))
    later = timezone.now().replace(tzinfo=None) + timedelta(hours=47)
    monkeypatch.setattr(type(accounts.TOKENS), "_now", lambda self: later)
    assert Client().get(link, follow=True).context["validlink"]
    much_later = later + timedelta(hours=2)
    monkeypatch.setattr(type(accounts.TOKENS), "_now", lambda self: much_later)
    assert not Client().get(link, follow=True).context["validlink"]


@pytest.mark.parametrize("act", ["new_link", "withdraw", "is_active", "is_staff", "password"])  # fmt: skip
def test_link__after_another_act__is_void(boss: Client, act: str) -> None:
    link = link_in(invite(boss))
    user = invited()
    if act.startswith("is_"):
        # A link is void as well if the address changes.
        same = {"username": user.username, "email": user.email}
        form = {**same, "is_active": "on", "is_staff": "on"}
        without = {name: value for name, value in form.items() if name != act}
        assert boss.post(f"{USERS}{user.pk}/change/", without).status_code == 302
        # Once they may enter again, the old link stays void.
        boss.post(f"{USERS}{user.pk}/change/", form)
        assert accounts.is_invited(invited())
    elif act == "password":
        form = {"password1": SECRET, "password2": SECRET, "usable_password": "true"}
        assert boss.post(f"{USERS}{user.pk}/password/", form).status_code == 302
    else:
        assert boss.get(f"{USERS}{user.pk}/{act}/").status_code == 200
        answer = boss.post(f"{USERS}{user.pk}/{act}/", follow=True)
        assert answer.status_code == 200
        assert invited().is_active is (act == "new_link")
        if act == "new_link":
            assert Client().get(link_in(answer), follow=True).context["validlink"]
    assert not Client().get(link, follow=True).context["validlink"]
    before = invited().password
    accept(link, "another-horse")
    assert invited().password == before


def test_link__used_by_two_at_once__the_second_is_refused(boss: Client) -> None:
    link = link_in(invite(boss))
    second = Client()
    page = second.get(link, follow=True)
    accept(link)
    other = {"new_password1": "another-horse", "new_password2": "another-horse"}
    answer = second.post(page.request["PATH_INFO"], other)
    assert not answer.context["validlink"]
    assert invited().check_password(SECRET)


def test_link__changed_by_a_letter__is_refused(boss: Client) -> None:
    link = link_in(invite(boss))
    for wrong in (link[:-2] + ("a/" if link[-2] != "a" else "b/"), link.replace("invitation/", "invitation/x", 1)):  # fmt: skip
        assert not Client().get(wrong, follow=True).context["validlink"]


def test_invite__with_a_mail_server__is_mailed(boss: Client, settings: Any) -> None:
    settings.EMAIL_HOST = "127.0.0.1"
    answer = invite(boss)
    [sent] = mail.outbox
    assert sent.to == ["pia@a.example"]
    assert answer.context["link"] in sent.body
    assert "within 48 hours" in sent.body
    assert "It was mailed to pia@a.example." in answer.content.decode()


def test_invite__mail_server_is_down__says_so(boss: Client, settings: Any) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    answer = invite(boss)
    assert "could not be mailed (ConnectionRefusedError)" in answer.content.decode()
    assert answer.context["link"]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"email": "BOSS@a.example"}, "There is an account with this address"),
        ({"groups": []}, "This field is required"),
        ({"email": "nobody"}, "valid email"),
    ],
)
def test_invite__wrong__says_what(boss: Client, fields: Any, fault: str) -> None:
    User.objects.filter(username="boss").update(email="boss@a.example")
    answer = invite(boss, **fields)
    assert answer.status_code == 422
    assert re.search(fault, answer.content.decode())
    assert User.objects.count() == 1


def test_invitation__of_somebody_who_has_begun__is_left_alone(boss: Client) -> None:
    user = User.objects.create_user("otto", password=SECRET, is_staff=True)
    for act in ("new_link", "withdraw"):
        answer = boss.post(f"{USERS}{user.pk}/{act}/")
        assert "begun already" in answer.content.decode()
    user.refresh_from_db()
    assert user.is_active
    assert user.check_password(SECRET)
