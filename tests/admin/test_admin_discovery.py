"""Asking a provider whether it is there, and what it has."""

from collections.abc import Iterator

import pytest

from llm.models import Provider
from llm.providers import discovery
from llm.providers.client import sdk
from tests.admin.provider_server import Lister, listening
from tests.fixtures_billing import make_provider

SECRET = "sk-very-secret-0123456789"
pytestmark = pytest.mark.django_db


@pytest.fixture
def server() -> Iterator[Lister]:
    with listening() as one:
        yield one


@pytest.fixture
def provider(server: Lister) -> Provider:
    return make_provider(base_url=server.url, api_key=SECRET)


def test_discover__list_of_models__sorted_and_with_the_key(
    server: Lister, provider: Provider
) -> None:
    assert list(discovery.discover(provider)) == ["model-a", "model-b"]
    assert server.asked == [("/v1/models", f"Bearer {SECRET}")]


def test_discover__no_key_needed__asks_all_the_same(server: Lister) -> None:
    assert discovery.discover(make_provider(base_url=server.url))


def test_discover__empty_list__is_no_error(server: Lister, provider: Provider) -> None:
    server.list()
    assert discovery.discover(provider) == {}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "refuses the key"),
        (402, "out of money"),
        (403, "may not list models"),
        (404, "should end with /v1"),
        (429, "throttling us"),
        (500, "HTTP status 500"),
        (503, "HTTP status 503"),
    ],
)
def test_check__error_status__one_try_and_what_to_do_without_the_secret(
    server: Lister, provider: Provider, status: int, message: str
) -> None:
    server.status = status
    server.body = f'{{"error": {{"message": "Incorrect key: {SECRET}"}}}}'
    result = discovery.check(provider)
    assert not result.ok
    assert message in result.message
    assert SECRET not in result.message
    assert len(server.asked) == 1


def test_check__redirect__is_not_followed(server: Lister, provider: Provider) -> None:
    with listening() as elsewhere:
        server.status = 302
        server.headers["Location"] = f"{elsewhere.url}/models"
        result = discovery.check(provider)
        assert not elsewhere.asked
    assert "redirects elsewhere" in result.message


@pytest.mark.parametrize("body", ["<html>", "[]", '"text"', '{"data": 5}', "{}"])
def test_check__not_a_list__says_so(
    server: Lister, provider: Provider, body: str
) -> None:
    server.body = body
    result = discovery.check(provider)
    assert result.ok is (body == "{}")
    if not result.ok:
        assert result.message == discovery.NOT_A_LIST


def test_check__answer__says_how_many_and_how_long(provider: Provider) -> None:
    result = discovery.check(provider)
    assert result.ok
    assert "lists 2 models" in result.message
    assert result.latency_ms >= 0


def test_check__nobody_listens__says_so() -> None:
    result = discovery.check(make_provider())
    assert "No connection" in result.message


def test_discover__server_that_hangs__times_out(
    server: Lister, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.release.clear()
    short = lambda one: sdk(one, read_timeout_s=0.05)  # noqa: E731
    monkeypatch.setattr(discovery, "sdk", short)
    with pytest.raises(discovery.Unreachable, match="did not answer in time"):
        discovery.discover(provider)


def test_discover__key_of_another_host__is_not_sent(
    server: Lister, provider: Provider
) -> None:
    with listening() as other:
        provider.base_url = other.url
        with pytest.raises(discovery.Unreachable, match="enter it again"):
            discovery.discover(provider)
        assert not other.asked


def test_discover__endless_list__is_cut(server: Lister, provider: Provider) -> None:
    server.list(*(f"model-{at:05}" for at in range(discovery.MOST_MODELS + 5)))
    assert len(discovery.discover(provider)) == discovery.MOST_MODELS
