"""S6: no spelling of an address, and no change of a name's address, reaches our networks."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from llm.models import Provider
from llm.providers import address_guard, discovery
from llm.upstream.provider_client import open_session
from tests.fixtures_billing import make_provider
from valuecanvas.core import crypto
from valuecanvas.core.access.url_guard import OffLimits, UrlGuard

# The listener is on all addresses of this machine; PORT is its port.
HOSTS = [
    "127.0.0.1", "127.1", "127.0.1", "0177.0.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001",
    "127.000.000.001", "127.0.0.1.", "127.255.255.254", "0", "0.0.0.0", "0x0", "localhost", "LOCALHOST",
    "localhost.", "a.localhost", "localhost.localdomain", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]",
    "[fe80::1%25lo]", "[fd00::1]", "[fec0::1]", "169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]",
    "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "metadata.google.internal", "instance-data.internal",
    "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
    "rebound.example", "rebound.example.", "REBOUND.example", "xn--rebound-x.example", "①②⑦.⓪.⓪.①", "127。0。0。1",
]  # fmt: skip
WHOLE = [
    "https://api.example@127.0.0.1:{port}/v1", "https://127.0.0.1:{port}@api.example/v1",
    "https://user:pw@rebound.example:{port}/v1", "http://rebound.example:{port}/v1",
    "https://rebound.example:{port}\\@api.example/v1", "https://127.0.0.1:{port}#@api.example/v1",  # pragma: allowlist secret
    "gopher://127.0.0.1:{port}/v1", "file:///etc/passwd", "https:127.0.0.1:{port}/v1",
    "https://rebound.example:99999/v1", "//127.0.0.1:{port}/v1", "unix:///var/run/docker.sock",
]  # fmt: skip
URLS = [f"https://{host}:{{port}}/v1" for host in HOSTS] + WHOLE
# What names stand for by the time that they are connected to.
REBOUND = ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1"]


def test_tricks__of_this_test__are_sixty_at_least() -> None:
    assert len(set(URLS)) >= 60


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """Somebody on this machine who hears of every connection."""
    with socket.create_server(("0.0.0.0", 0)) as made:
        made.setblocking(False)
        yield made


@pytest.fixture(autouse=True)
def rebinding(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name was public when it was saved, and is none of its addresses later."""
    settings.LLM_ALLOW_HTTP_PROVIDERS = settings.WEBHOOKS_ALLOW_HTTP = False
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        try:
            return real(
                host, port, flags=socket.AI_NUMERICHOST, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError):
            if options.get("flags") == socket.AI_NUMERICHOST:
                raise
            return [
                found
                for one in REBOUND
                for found in real(one, port, type=socket.SOCK_STREAM)
            ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def heard(canary: socket.socket) -> bool:
    try:
        canary.accept()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("trick", URLS)
def test_save__of_an_address_of_ours__is_refused_or_its_name_is_judged_later(
    trick: str,
) -> None:
    url = trick.format(port=8443)
    for setting in ("LLM_ALLOW_HTTP_PROVIDERS", "WEBHOOKS_ALLOW_HTTP"):
        try:
            UrlGuard(setting).check_url(url)
        except ValidationError:
            continue
        assert "example" in url or "localdomain" in url or "xn--" in url, url


@pytest.mark.django_db
@pytest.mark.parametrize("trick", URLS)
def test_discovery__of_a_trick__connects_to_nobody(
    canary: socket.socket, trick: str
) -> None:
    url = trick.format(port=canary.getsockname()[1])
    result = discovery.check(make_provider(base_url=url, api_key="sk-canary"))
    assert not result.ok
    assert not heard(canary)


async def test_pool__asked_for_each_trick__connects_to_nobody(
    canary: socket.socket,
) -> None:
    """The hot path's own pool, behind the check of the scheme."""
    async with open_session() as pool:
        for trick in URLS:
            url = trick.format(port=canary.getsockname()[1])
            with pytest.raises((aiohttp.ClientError, OffLimits, ValueError, OSError)):
                async with asyncio.timeout(60), pool.post(url, data=b"{}"):
                    pass
            assert not heard(canary), url


@pytest.mark.parametrize("trick", URLS)
def test_key__of_a_provider_that_moves_there__is_dropped(trick: str) -> None:
    """0 keys are sent to a new host: it is unset, and would not open for it either."""
    row = Provider(key="p", base_url="https://api.example/v1")
    row.set_key("sk-canary")
    sealed = row.api_key_sealed
    row.base_url = trick.format(port=8443)
    if "@api.example" in trick and "#" not in trick:
        # Python reads this host, other programs another: it is refused when saved.
        with pytest.raises(ValidationError):
            address_guard.check_url(row.base_url)
        return
    assert row.drop_foreign_key("https://api.example/v1")
    assert row.api_key_sealed is None
    row.api_key_sealed = sealed
    with pytest.raises(crypto.UnreadableSecret):
        row.open_key()
