"""Those who call: people by their groups, and keys by their scopes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.test import Client

from billing.models import ApiKey, Scope
from tests.fixtures_billing import make_api_key, unique
from tests.security.access_rules import SUPERUSER
from valuecanvas.core.access.recent_login import PROVED_AT
from valuecanvas.site.groups import ensure_groups
from valuecanvas.site.people.ready_groups import READY_GROUPS

ANONYMOUS, NO_RIGHTS, OUTSIDER = "anonymous", "staff without rights", "no staff"
# Outsiders have every right, but may not log in to the console.
PEOPLE = (
    ANONYMOUS, OUTSIDER, NO_RIGHTS, *(one.name for one in READY_GROUPS), SUPERUSER
)  # fmt: skip
NO_SCOPE = "key without a scope"
KEYS = (NO_SCOPE, *(f"key {one}" for one in Scope.values))
_RIGHTS = {one.name: frozenset(one.rights) for one in READY_GROUPS}


@dataclass(frozen=True, slots=True)
class Role:
    """One of PEOPLE or KEYS, with a client of its own."""

    name: str
    client: Client

    @property
    def scope(self) -> str:
        return self.name.removeprefix("key ") if self.name != NO_SCOPE else ""

    @property
    def is_key(self) -> bool:
        return self.name in KEYS

    def may(self, *rights: str) -> bool:
        """Whether it has all the rights, by the table of ready groups."""
        return self.name == SUPERUSER or _RIGHTS.get(self.name, frozenset()).issuperset(
            rights
        )


def make_role(name: str) -> Role:
    client = Client(raise_request_exception=False)
    if name in KEYS:
        client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {_key(name)}"
    elif name != ANONYMOUS:
        ensure_groups()
        client.force_login(_person(name))
        session = client.session
        session[PROVED_AT] = time.time()
        session.save()
    return Role(name, client)


def _key(name: str) -> str:
    key, text = make_api_key()
    scopes = [] if name == NO_SCOPE else [name.removeprefix("key ")]
    # Not every scope is issued alone.
    ApiKey.objects.filter(pk=key.pk).update(scopes=scopes)
    return text


def _person(name: str) -> User:
    user = User.objects.create_user(
        unique("role"), is_staff=name != OUTSIDER, is_superuser=name == SUPERUSER
    )
    if name == OUTSIDER:
        user.user_permissions.set(Permission.objects.all())
    elif name in _RIGHTS:
        user.groups.add(Group.objects.get(name=name))
    return user


@contextmanager
def undone() -> Iterator[None]:
    """Whatever the request inside does is undone."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def ask(role: Role, method: str, path: str) -> Any:
    """One request without input, undone."""
    with undone():
        return role.client.generic(method, path, "{}", "application/json")
