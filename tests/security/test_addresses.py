"""S28: whatever addresses a client makes up, it is one to every limit."""

from typing import Any

import pytest
from django.test import Client, RequestFactory

from llm.runtime import Runtime
from tests.live.inside import Exchange
from tests.live.test_wrong_keys import wrong_key
from valuecanvas.http.fairness import origin
from valuecanvas.site.login import LoginForm

pytestmark = pytest.mark.live

SPOOFED = [f"203.0.113.{number}" for number in range(100)]
HEADERS = ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"]  # fmt: skip
LIMIT = 5
PEER = "192.0.2.77"
# What a client sends, and what a trusted proxy makes of it.
TRUSTED = [False, True]


def sent(number: int, trusted: bool) -> list[tuple[bytes, bytes]]:
    """Headers that name an address of this number."""
    value = SPOOFED[number]
    found = [(name.encode(), value.encode()) for name in HEADERS]
    if trusted:
        found.append((b"x-forwarded-for", f"{value}, {PEER}".encode()))
    return found


@pytest.mark.parametrize("trusted", TRUSTED)
async def test_wrong_keys__from_a_hundred_made_up_addresses__are_of_one(
    gateway: Runtime, settings: Any, trusted: bool
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE, settings.TRUST_PROXY = LIMIT, trusted
    found = []
    for number in range(len(SPOOFED)):
        exchange = Exchange(gateway, "/v1/models", method="GET")
        exchange.scope["headers"] += [
            (b"authorization", f"Bearer {wrong_key()}".encode()),
            *sent(number, trusted),
        ]
        exchange.scope["client"] = ("127.0.0.1" if trusted else PEER, 1234)
        found.append((await exchange.run()).status)
    assert found == [401] * LIMIT + [429] * (len(SPOOFED) - LIMIT)


@pytest.mark.parametrize("trusted", TRUSTED)
def test_pages__from_a_hundred_made_up_addresses__are_of_one(
    settings: Any, trusted: bool
) -> None:
    settings.TRUST_PROXY = trusted
    peer = "127.0.0.1" if trusted else PEER
    visitors = {
        origin.identify({"headers": sent(number, trusted), "client": (peer, 1)})
        for number in range(len(SPOOFED))
    }
    assert visitors == {PEER}


@pytest.mark.django_db
def test_pages__with_many_sessions_of_strangers__are_of_one() -> None:
    """Passkeys' page keeps its challenge in a session: whoever opens it has one."""
    visitors = set()
    for _ in range(3):
        client = Client()
        client.get(
            "/admin/account/passkeys/login/", headers={"accept": "application/json"}
        )
        cookie = f"sessionid={client.cookies['sessionid'].value}"
        asked = {"headers": [(b"cookie", cookie.encode())], "client": (PEER, 1)}
        visitors.add(origin.identify(asked))
    assert visitors == {PEER}


@pytest.mark.django_db
def test_login__from_a_hundred_made_up_addresses__is_locked_as_from_one(
    settings: Any,
) -> None:
    settings.LOGIN_FAILURES = LIMIT
    locked = 0
    for number, address in enumerate(SPOOFED):
        headers = {f"HTTP_{name.upper().replace('-', '_')}": address for name in HEADERS}  # fmt: skip
        request = RequestFactory().post("/admin/login/", REMOTE_ADDR=PEER, **headers)
        form = LoginForm(request, {"username": f"nobody-{number}", "password": "x"})
        assert not form.is_valid()
        locked += bool(form.locked_s)
    assert locked == len(SPOOFED) - LIMIT
