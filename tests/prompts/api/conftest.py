"""Those who call: keys by their scopes, and people by their rights."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from billing.models import ApiKey
from tests.fixtures_billing import make_api_key, unique

KeyClient = Callable[..., "Caller"]


class Caller(APIClient):
    """A client that knows whose it is."""

    key: ApiKey
    user: User


def key_client(*scopes: str) -> Caller:
    """A client with an API key of these scopes; `client.key` is its row."""
    key, text = make_api_key(scopes=list(scopes))
    client = Caller(HTTP_AUTHORIZATION=f"Bearer {text}")
    client.key = key
    return client


def person(*rights: str, **fields: object) -> Caller:
    """A client with the session of a member of staff who has these rights."""
    user = User.objects.create_user(unique("user"), is_staff=True, **fields)
    for right in rights:
        app, codename = right.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    client = Caller()
    client.force_login(user)
    client.user = user
    return client


@pytest.fixture
def reader(db: None) -> Caller:
    return key_client("prompts:read")


@pytest.fixture
def writer(db: None) -> Caller:
    return key_client("prompts:read", "prompts:write")


@pytest.fixture
def publisher(db: None) -> Caller:
    return key_client("prompts:read", "prompts:write", "prompts:publish")
