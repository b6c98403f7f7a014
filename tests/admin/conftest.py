"""People who open the admin, each with a client of their own."""

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client

from valuecanvas.site.groups import ensure_groups
from valuecanvas.site.people.ready_groups import AUDITOR, OPERATOR


@pytest.fixture(autouse=True)
def _nothing_kept(db: None) -> None:
    cache.clear()


def _client(name: str, *, group: str = "", superuser: bool = False) -> Client:
    user = User.objects.create_user(
        name, password="pw", is_staff=True, is_superuser=superuser
    )
    if group:
        user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def groups(db: None) -> list[str]:
    return ensure_groups()


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser."""
    return _client("boss", superuser=True)


@pytest.fixture
def operator(groups: list[str]) -> Client:
    """Of the group Operator."""
    return _client("olga", group=OPERATOR)


@pytest.fixture
def auditor(groups: list[str]) -> Client:
    """Of the group Auditor: looks, and changes nothing."""
    return _client("arno", group=AUDITOR)


@pytest.fixture
def newcomer(db: None) -> Client:
    """Staff, without any right."""
    return _client("nora")
