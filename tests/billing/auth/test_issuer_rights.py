"""S5, S16: keys lose what their issuer may no longer do, from the next request on."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User

from billing.auth import issuer_rights
from billing.auth.callers import Callers
from billing.auth.keys import issue
from billing.models import ApiKey
from billing.models.api_key import SCOPE_RIGHTS
from billing.tasks import revoke_keys_of_former_staff
from tests.fixtures_billing import make_customer, make_team, make_tier, unique
from valuecanvas.core.db import epoch
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import NotAuthenticated, NotPermitted

RIGHTS = ("change_customer", "view_flag")
SCOPES = ["llm", "act_as", "flags:read"]


def make_staff(*, how: str = "group") -> User:
    """Somebody with `RIGHTS`: through a group, by themselves, or as a superuser."""
    user = User.objects.create_user(unique("issuer"), is_staff=True)
    found = Permission.objects.filter(codename__in=RIGHTS)
    if how == "group":
        group = Group.objects.create(name=unique("group"))
        group.permissions.set(found)
        user.groups.add(group)
    elif how == "own":
        user.user_permissions.set(found)
    else:
        User.objects.filter(pk=user.pk).update(is_superuser=True)
    return user


def make_key(user: User) -> tuple[ApiKey, str]:
    customer = make_customer(team=make_team(unique("team")))
    return issue(customer=customer, name="k", scopes=SCOPES, issuer=user.get_username())


def find_rights(user: User) -> Any:
    return Permission.objects.filter(codename="change_customer")


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def drop_staff(user: User) -> None:
    user.is_staff = False
    user.save()


def leave_groups(user: User) -> None:
    user.groups.clear()


def empty_group(user: User) -> None:
    for group in user.groups.all():
        group.permissions.remove(*find_rights(user))


def delete_group(user: User) -> None:
    user.groups.all().delete()


def drop_own(user: User) -> None:
    user.user_permissions.remove(*find_rights(user))


def drop_superuser(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_superuser=False)


def rename(user: User) -> None:
    User.objects.filter(pk=user.pk).update(username=unique("renamed"))


BOTH, ONE = {"act_as", "flags:read"}, {"act_as"}
LOSSES: list[tuple[str, Callable[[User], Any], set[str]]] = [
    ("group", deactivate, BOTH),
    ("group", User.delete, BOTH),
    ("group", drop_staff, BOTH),
    ("group", rename, BOTH),
    ("group", leave_groups, BOTH),
    ("group", delete_group, BOTH),
    ("group", empty_group, ONE),
    ("own", drop_own, ONE),
    ("superuser", drop_superuser, BOTH),
]


async def drop_changes(callers: Callers, db: DbThread, before: int) -> None:
    _, changes = await db.run(epoch.changes_since, before)
    callers.drop(changes)


@pytest.mark.parametrize(("how", "lose", "lost"), LOSSES)
@pytest.mark.parametrize("mode", ["freeze", "revoke", "keep"])
async def test_issuer__has_lost_a_right__so_has_the_key_at_its_next_request(
    callers, db_thread, settings, transactional_db, how, lose, lost, mode
):
    settings.KEYS_OF_FORMER_STAFF = mode
    user = await db_thread.run(lambda: make_staff(how=how))
    await db_thread.run(make_tier, "free")
    _, text = await db_thread.run(make_key, user)
    assert (await callers.authenticate(f"Bearer {text}")).scopes == set(SCOPES)
    before = await db_thread.run(epoch.current)
    await db_thread.run(lose, user)
    await drop_changes(callers, db_thread, before)
    if mode == "revoke":
        with pytest.raises(NotAuthenticated):
            await callers.authenticate(f"Bearer {text}")
        return
    found = await callers.authenticate(f"Bearer {text}")
    gone = set() if mode == "keep" else lost
    assert found.scopes == set(SCOPES) - gone
    assert found.frozen_scopes == gone
    if gone:
        with pytest.raises(NotPermitted) as caught:
            await callers.act_for(found, "ann")
        assert caught.value.code == "scope_frozen"


async def test_issuer__gets_the_right_back__so_does_the_key(
    callers, db_thread, transactional_db
):
    user = await db_thread.run(make_staff)
    _, text = await db_thread.run(make_key, user)
    for active, scopes in ((False, {"llm"}), (True, set(SCOPES))):
        before = await db_thread.run(epoch.current)
        await db_thread.run(User.objects.filter(pk=user.pk).update, is_active=active)
        await drop_changes(callers, db_thread, before)
        assert (await callers.authenticate(f"Bearer {text}")).scopes == scopes


@pytest.mark.django_db
def test_issuer__signs_in__is_no_change() -> None:
    user = make_staff()
    make_key(user)
    before = epoch.current()
    user.save()
    User.objects.filter(pk=user.pk).update(first_name="Ann")
    make_staff()
    assert epoch.current() == before


@pytest.mark.django_db
def test_commands_keys__whoever_leaves__keep_their_scopes(settings: Any) -> None:
    settings.KEYS_OF_FORMER_STAFF = "revoke"
    key, _ = issue(customer=make_customer(), name="k", scopes=list(SCOPE_RIGHTS))
    assert issuer_rights.find_lost_scopes([key]) == {}


@pytest.mark.django_db
@pytest.mark.parametrize(("mode", "count"), [("keep", 0), ("freeze", 0), ("revoke", 1)])
def test_schedule__keys_of_somebody_who_left__are_revoked_where_the_setting_says_so(
    settings: Any, mode: str, count: int
) -> None:
    gone, there = make_staff(), make_staff()
    lost, kept = make_key(gone)[0], make_key(there)[0]
    deactivate(gone)
    settings.KEYS_OF_FORMER_STAFF = mode
    assert revoke_keys_of_former_staff() == count
    for key in (lost, kept):
        key.refresh_from_db()
    assert (lost.revoked_at is not None) is bool(count)
    assert kept.revoked_at is None
