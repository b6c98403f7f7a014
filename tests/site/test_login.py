"""The admin's login: passwords cannot be guessed, and nobody is locked out for long."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test import AsyncClient, Client, RequestFactory
from django.utils import timezone
from structlog.testing import capture_logs

from valuecanvas.core.models import LoginFailure
from valuecanvas.site.login import LoginForm

RIGHT, WRONG = "a-right-password", "guess"
LIMIT = 10
LOGIN = "/admin/login/"


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    for name in ("boss", "olga"):
        User.objects.create_superuser(name, password=RIGHT)


def enter(username: str = "boss", password: str = WRONG) -> Any:
    """By the page itself."""
    sent = {"username": username, "password": password}
    return Client().post(LOGIN, sent, REMOTE_ADDR="192.0.2.1")


def status(
    username: str = "boss",
    password: str = WRONG,
    address: str = "192.0.2.1",
    **headers: str,
) -> int:
    """Of the form alone. 302: entered. 200: wrong. 429: locked."""
    request = RequestFactory().post(LOGIN, REMOTE_ADDR=address, **headers)
    form = LoginForm(request, {"username": username, "password": password})
    if form.is_valid():
        return 302
    return 429 if form.locked_s else 200


def cool_off() -> None:
    LoginFailure.objects.update(until=timezone.now())


def test_login__a_thousand_wrong_passwords__are_locked_after_the_limit() -> None:
    found = [status(password=f"guess {turn}") for turn in range(1000)]
    assert found == [200] * LIMIT + [429] * (1000 - LIMIT)


def test_login__one_account_from_many_addresses__is_locked() -> None:
    found = [status(address=f"192.0.2.{turn}") for turn in range(200)]
    assert found == [200] * LIMIT + [429] * (200 - LIMIT)
    assert status("boss", RIGHT, "198.51.100.1") == 429
    assert status("BOSS", RIGHT, "198.51.100.1") == 429
    assert status("olga", RIGHT, "198.51.100.1") == 302


def test_login__one_address_through_many_accounts__locks_itself_alone() -> None:
    found = [status(f"user {turn // 4}") for turn in range(200)]
    assert found == [200] * LIMIT + [429] * (200 - LIMIT)
    assert status("olga", RIGHT) == 429
    assert status("olga", RIGHT, "198.51.100.1") == 302
    assert LoginFailure.objects.filter(name__startswith="account:").count() == 3


def test_login__one_network_of_ipv6__is_one_address() -> None:
    found = [status(f"user {turn}", address=f"2001:db8::{turn}") for turn in range(12)]
    assert found == [200] * LIMIT + [429] * 2


def test_login__a_forged_forwarded_for__does_not_escape(settings: Any) -> None:
    forged = [
        status(f"user {turn}", HTTP_X_FORWARDED_FOR=f"10.0.0.{turn}")
        for turn in range(12)
    ]
    assert forged == [200] * LIMIT + [429] * 2
    settings.TRUST_PROXY = True
    behind = [
        status(f"one {turn}", HTTP_X_FORWARDED_FOR=f"10.0.0.{turn}, 203.0.113.1")
        for turn in range(12)
    ]
    assert behind == [200] * LIMIT + [429] * 2
    assert status("olga", RIGHT, HTTP_X_FORWARDED_FOR="203.0.113.1, 203.0.113.2") == 302


def test_login__the_right_password_while_locked__is_told_what_to_do() -> None:
    for _ in range(LIMIT):
        status()
    answer = enter(password=RIGHT)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 900
    page = answer.content.decode()
    assert 'id="login-form"' in page
    assert "Try again in 15 min" in page
    assert "unlock_login" in page
    assert RIGHT not in page
    assert "sessionid" not in answer.cookies


def test_login__after_the_cool_off__enters_and_starts_anew() -> None:
    for _ in range(LIMIT + 5):
        status()
    cool_off()
    assert status("boss", RIGHT) == 302
    assert [status() for _ in range(LIMIT + 1)] == [200] * LIMIT + [429]


def test_login__tries_while_locked__make_it_no_longer() -> None:
    for _ in range(LIMIT):
        status()
    before = list(LoginFailure.objects.order_by("name").values_list())
    for _ in range(20):
        status()
    assert list(LoginFailure.objects.order_by("name").values_list()) == before


def test_login__right_ones_between__free_the_account_and_not_the_address() -> None:
    for _ in range(LIMIT - 1):
        assert status() == 200
    assert status("boss", RIGHT) == 302
    assert not LoginFailure.objects.filter(name="account:boss").exists()
    assert [status("olga"), status("olga")] == [200, 429]


def test_login__right_ones_alone__are_never_locked() -> None:
    assert {status("boss", RIGHT) for _ in range(LIMIT * 2)} == {302}


@pytest.mark.parametrize("name", ["boss", "192.0.2.1"])
def test_unlock_login__a_name_or_address__enters_again(name: str) -> None:
    address = "192.0.2.1" if name == "192.0.2.1" else "192.0.2.{}"
    for turn in range(LIMIT):
        user = f"user {turn}" if name != "boss" else name
        status(user, address=address.format(turn))
    inside = ("boss", RIGHT, address.format(77))
    assert status(*inside) == 429
    call_command("unlock_login", name)
    assert status(*inside) == 302
    assert "no failed logins" in str(call_command("unlock_login", "nobody"))


def test_login__what_is_logged_and_kept__has_no_password() -> None:
    with capture_logs() as lines:
        for _ in range(LIMIT + 2):
            status(password="a-secret-guess")
    events = [line["event"] for line in lines if line["event"].startswith("login.")]
    locked = ["login.lockout", "login.locked", "login.locked"]
    assert events == ["login.failed"] * LIMIT + locked
    line = lines[events.index("login.locked")]
    assert (line["username"], line["address"]) == ("boss", "192.0.2.1")
    rows = str(list(LoginFailure.objects.values_list()))
    assert "a-secret-guess" not in str(lines) + rows


def test_login__nothing_typed__is_not_counted() -> None:
    assert [status("boss", ""), status("", "x"), status("b\0", "x")] == [200] * 3
    assert not LoginFailure.objects.exists()


def test_login__failures_that_are_over__are_purged_by_the_next() -> None:
    LoginFailure.objects.create(name="account:x", failures=3, until=timezone.now())
    status()
    names = sorted(LoginFailure.objects.values_list("name", flat=True))
    assert names == ["account:boss", "address:192.0.2.1"]


@pytest.mark.parametrize("path", [LOGIN, "/admin/", "/admin/billing/apikey/"])
def test_login__every_page_that_asks_for_it__counts(path: str) -> None:
    for _ in range(LIMIT):
        status()
    answer = Client(REMOTE_ADDR="192.0.2.9").get(path, follow=True)
    assert answer.status_code == 200
    sent = {"username": "boss", "password": RIGHT}
    assert Client().post(answer.request["PATH_INFO"], sent).status_code == 429


def test_login__over_asgi__is_locked_as_well() -> None:
    for _ in range(LIMIT):
        status()

    sent = {"username": "boss", "password": RIGHT}
    assert async_to_sync(AsyncClient().post)(LOGIN, sent).status_code == 429


@pytest.mark.django_db(transaction=True)
def test_login__many_at_once__are_no_more_than_the_limit() -> None:
    def one(turn: int) -> int:
        try:
            return status(password=f"guess {turn}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(60)))
    assert sorted(found) == [200] * LIMIT + [429] * (60 - LIMIT)
