"""Session keys that the site has issued, and those that it has not."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client

from valuecanvas.core.access import session_store
from valuecanvas.core.access.session_store import SessionStore

MADE_UP = ["", "short", "a" * 32, "a" * 40, "0" * 40, "é" * 40, "a" * 4000]


@pytest.mark.django_db
def test_key__of_a_new_session__is_ours() -> None:
    session = SessionStore()
    async_to_sync(session.acreate)()
    key = session.session_key or ""
    assert len(key) == session_store.KEY_LENGTH
    assert session_store.is_issued(key)
    assert SessionStore().exists(key)


@pytest.mark.django_db
@pytest.mark.parametrize("key", MADE_UP)
def test_key__made_up__is_looked_up_nowhere(
    key: str, django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(0):
        assert dict(SessionStore(key).items()) == {}


@pytest.mark.django_db
def test_key__changed_by_one_letter__is_not_ours() -> None:
    session = SessionStore()
    session.create()
    key = session.session_key or ""
    other = ("b" if key[0] == "a" else "a") + key[1:]
    assert not session_store.is_issued(other)


@pytest.mark.django_db
def test_login__with_such_a_key__holds() -> None:
    User.objects.create_superuser("boss-of-sessions", password="pw")
    client = Client()
    client.force_login(User.objects.get(username="boss-of-sessions"))
    assert client.get("/admin/").status_code == 200
    key = client.cookies["sessionid"].value
    assert session_store.is_issued(key)
    assert session_store.is_of_login(key)


@pytest.mark.django_db
def test_key__of_a_session_without_a_login__says_so() -> None:
    session = SessionStore()
    session.create()
    assert not session_store.is_of_login(session.session_key or "")
    async_to_sync(session.acycle_key)()
    assert session_store.is_of_login(session.session_key or "")
