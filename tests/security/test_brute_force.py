"""S4: nobody guesses the way in, by whichever door."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from tests.faults.counts import either
from tests.fresh_logins import make_stale
from tests.site.door_steps import add_app, code, wrong_code

TRIES = either(40, 1000)
LIMIT = 10
RIGHT = "a-right-password"
SECOND, AGAIN = "/admin/account/second-factor/", "/admin/account/reauthenticate/"
Guess = Callable[[str], Any]


@pytest.fixture
def boss(db: None) -> User:
    cache.clear()
    user = User.objects.create_superuser("boss", password=RIGHT)
    add_app(user)
    return user


def by_password(boss: User) -> Guess:
    def guess(address: str) -> Any:
        sent = {"username": "boss", "password": "guess"}
        return Client().post("/admin/login/", sent, REMOTE_ADDR=address)

    return guess


def by_code(boss: User) -> Guess:
    """The password is known already, the phone is not."""
    client = Client()
    sent = {"username": "boss", "password": RIGHT}
    client.post("/admin/login/", sent, REMOTE_ADDR="198.51.100.1")

    def guess(address: str) -> Any:
        return client.post(SECOND, {"code": wrong_code()}, REMOTE_ADDR=address)

    return guess


def by_open_session(boss: User, path: str = AGAIN) -> Guess:
    """A session was left open."""
    client = Client()
    client.force_login(boss)
    make_stale(client)

    def guess(address: str) -> Any:
        sent = {"password": "guess", "code": wrong_code()}
        return client.post(path, sent, REMOTE_ADDR=address)

    return guess


def by_code_of_session(boss: User) -> Guess:
    return by_open_session(boss, f"{AGAIN}code/")


def by_old_password(boss: User) -> Guess:
    client = Client()
    client.force_login(boss)

    def guess(address: str) -> Any:
        sent = {"old_password": "guess", "new_password1": "n", "new_password2": "n"}
        return client.post("/admin/account/password/", sent, REMOTE_ADDR=address)

    return guess


WAYS = [by_password, by_code, by_open_session, by_code_of_session, by_old_password]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_guesses__from_as_many_addresses__are_locked_after_ten(
    boss: User, way: Callable[[User], Guess]
) -> None:
    guess = way(boss)
    found = [guess(f"192.0.{turn // 250}.{turn % 250}") for turn in range(TRIES)]
    statuses = [answer.status_code for answer in found]
    assert statuses == [200] * LIMIT + [429] * (TRIES - LIMIT)
    assert all(0 < int(answer["Retry-After"]) <= 900 for answer in found[LIMIT:])
    # What is right is refused too, so that a guess that hits is not seen.
    client = Client()
    sent = {"username": "boss", "password": RIGHT}
    assert client.post("/admin/login/", sent).status_code == 429
    client.post(SECOND, {"code": code()})
    assert client.get("/admin/status/").status_code == 302
