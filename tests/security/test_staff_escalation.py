"""S5: nobody raises himself or others; the last superuser stays; who leaves is out."""

from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from tests.collision import faster
from valuecanvas.site.groups import ensure_groups
from valuecanvas.site.people import accounts
from valuecanvas.site.people.ready_groups import FINANCE, SENTENCES

pytestmark = pytest.mark.django_db
USERS, GROUPS, LOG = "/admin/auth/user/", "/admin/auth/group/", "/admin/admin/logentry/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss")


@pytest.fixture
def climber(boss: User) -> User:
    """Staff with every right that there is, but no superuser."""
    ensure_groups()
    user = User.objects.create_user("cora", password="pw", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    return user


def standing() -> list[Any]:
    """All that decides who may do what."""
    people = User.objects.order_by("pk").values_list(
        "username", "is_superuser", "is_staff", "is_active", "password",
        "groups", "user_permissions",
    )  # fmt: skip
    groups = Group.objects.order_by("pk").values_list("name", "permissions")
    return [sorted(map(repr, people)), sorted(map(repr, groups))]


def test_staff__with_every_right__raises_nobody(boss: User, climber: User) -> None:
    """By forms, actions, pop-ups, passwords, invitations and the log."""
    client, group = signed_in(climber), Group.objects.get(name=FINANCE)
    [entry] = LogEntry.objects.log_actions(boss.pk, [group], CHANGE, "A change.")
    raised = {
        "username": "cora", "is_active": "on", "is_staff": "on", "is_superuser": "on",
        "groups": [group.pk], "user_permissions": [1], "_popup": "1",
        "password1": "correct-horse", "password2": "correct-horse",
        "usable_password": "true", "name": "x", "permissions": [1], "post": "yes",
        "email": "new@a.example",
    }  # fmt: skip
    delete = {"action": "delete_selected", "post": "yes"}
    before = standing()
    for end in ("", "?_popup=1", "?_to_field=id&_popup=1"):
        for user in (climber, boss):
            for page in ("change", "password", "delete", "new_link", "withdraw", "invited"):  # fmt: skip
                answer = client.post(f"{USERS}{user.pk}/{page}/{end}", raised)
                assert answer.status_code == 403, page
        for page in (f"{USERS}add/", f"{USERS}invite/", f"{GROUPS}add/", f"{LOG}add/"):
            assert client.post(f"{page}{end}", raised).status_code == 403, page
        for page in ("change", "delete"):
            for url in (f"{GROUPS}{group.pk}/{page}/", f"{LOG}{entry.pk}/{page}/"):
                assert client.post(f"{url}{end}", raised).status_code == 403, url
        for url, pk in ((USERS, boss.pk), (GROUPS, group.pk), (LOG, entry.pk)):
            client.post(f"{url}{end}", {**delete, "_selected_action": [pk]})
            client.post(f"{url}{end}", {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": pk, "form-0-is_superuser": "on", "_save": "Save"})  # fmt: skip
    assert standing() == before
    assert LogEntry.objects.filter(pk=entry.pk).exists()


def test_staff__who_may_look__sees_no_hash(boss: User, climber: User) -> None:
    boss.set_password("correct-horse-battery")
    boss.save()
    client = signed_in(climber)
    pages = [f"{USERS}{boss.pk}/change/", USERS, f"{USERS}{boss.pk}/history/"]
    pages.append("/admin/autocomplete/?app_label=prompts&model_name=prompt&field_name=owner&term=b")  # fmt: skip
    for page in pages:
        answer = client.get(page, follow=True)
        assert answer.status_code == 200
        assert boss.password.split("$")[-1] not in answer.content.decode(), page
    for search in ("password__startswith=q", "user__password=x", "o=1&password=x"):
        assert client.get(f"{USERS}?{search}").status_code in (302, 400, 403)


def test_own_password__of_a_climber__is_all_that_changes(climber: User) -> None:
    client, secret = signed_in(climber), "correct-horse-battery"
    form = {
        "old_password": "pw", "new_password1": secret, "new_password2": secret,
        "is_superuser": "on", "username": "boss",
    }  # fmt: skip
    assert client.post("/admin/account/password/", form).status_code == 302
    climber.refresh_from_db()
    assert climber.check_password(secret)
    assert not climber.is_superuser
    assert climber.username == "cora"


def test_user_form__superuser__chooses_groups_by_sentences(boss: User) -> None:
    ensure_groups()
    user = User.objects.create_user("otto", is_staff=True)
    text = signed_in(boss).get(f"{USERS}{user.pk}/change/").content.decode()
    assert f"{FINANCE}: {SENTENCES[FINANCE]}" in text
    assert "May log in to this console." in text
    assert text.index('name="groups"') < text.index("Advanced")
    assert text.index("Advanced") < text.index('name="user_permissions"')
    assert text.index("Advanced") < text.index('name="is_superuser"')


@pytest.mark.parametrize("flag", ["is_active", "is_staff", "is_superuser"])
def test_last_superuser__loses_a_flag__is_refused(boss: User, flag: str) -> None:
    client, page = signed_in(boss), f"{USERS}{boss.pk}/change/"
    flags = {"is_active": "on", "is_staff": "on", "is_superuser": "on"}
    form = {"username": "boss", **flags}
    del form[flag]
    answer = client.post(page, form)
    assert "This is the last active superuser" in answer.content.decode()
    assert client.post(f"{USERS}{boss.pk}/delete/", {"post": "yes"}).status_code == 403
    boss.refresh_from_db()
    assert getattr(boss, flag)
    # Superusers who cannot act do not count.
    User.objects.create_superuser("gone", is_active=False)
    User.objects.create_user("out", is_superuser=True)
    assert client.post(page, form).status_code == 200
    User.objects.create_superuser("second")
    assert client.post(page, form).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_superusers__demote_each_other_at_once__one_stays(boss: User) -> None:
    second = User.objects.create_superuser("second")
    client = signed_in(second)
    form = {"username": "boss", "is_active": "on", "is_staff": "on"}
    with faster(lambda: User.objects.filter(pk=second.pk).update(is_superuser=False)):
        answer = client.post(f"{USERS}{boss.pk}/change/", form)
    assert "This is the last active superuser" in answer.content.decode()
    boss.refresh_from_db()
    assert boss.is_superuser


def test_user__who_has_acted__is_deactivated_and_not_deleted(boss: User) -> None:
    user = User.objects.create_user("otto", is_staff=True)
    client, page = signed_in(boss), f"{USERS}{user.pk}/delete/"
    assert client.get(page).status_code == 200
    LogEntry.objects.log_actions(user.pk, [boss], CHANGE, "A change.")
    assert client.post(page, {"post": "yes"}).status_code == 403
    assert LogEntry.objects.filter(user=user).exists()


@pytest.mark.parametrize("lost", ["is_active", "is_staff"])
def test_user__without_access__is_out_at_once_and_stays_out(
    boss: User, lost: str
) -> None:
    user = User.objects.create_user("otto", password="pw", is_staff=True)
    theirs, other = signed_in(user), signed_in(user)
    assert theirs.get("/admin/").status_code == 200
    page = f"{USERS}{user.pk}/change/"
    form = {"username": "otto", "is_active": "on", "is_staff": "on"}
    mine = signed_in(boss)
    without = {name: value for name, value in form.items() if name != lost}
    assert mine.post(page, without).status_code == 302
    assert theirs.get("/admin/").status_code == 302
    mine.post(page, form)
    user.refresh_from_db()
    assert getattr(user, lost)
    assert user.check_password("pw")
    assert [one.get("/admin/").status_code for one in (theirs, other)] == [302, 302]
    assert mine.get("/admin/").status_code == 200


def test_is_last_superuser__of_others__is_false(boss: User) -> None:
    assert accounts.is_last_superuser(boss)
    assert not accounts.is_last_superuser(User.objects.create_user("otto"))
