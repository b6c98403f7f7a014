"""Counts in minutes of the clock, and the management API's limits made of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches

from tests.fixtures_billing import make_api_key, unique
from tests.prompts.api.conftest import Caller, key_client, person
from valuecanvas.core.access import address
from valuecanvas.core.storage import minute_counter
from valuecanvas.core.storage.minute_counter import Minutes

HERE = "/api/prompts"


class Broken:
    """A cache as django-redis is without Redis: it swallows, and says None."""

    def add(self, *args: Any, **kwargs: Any) -> None:
        self.asked = getattr(self, "asked", 0) + 1

    def get_many(self, *args: Any) -> dict[str, int]:
        self.asked = getattr(self, "asked", 0) + 1
        return {}


class Clock:
    """In place of `time`, for this module alone. Of the minute 20 s are left."""

    now, ticks = 1_000_000_000.0, 100.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.ticks


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(minute_counter, "time", found)
    minute_counter.minutes.cache_clear()
    return found


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    broken = Broken()
    monkeypatch.setattr(minute_counter, "cache", broken)
    yield broken
    minute_counter.minutes.cache_clear()


def test_count__of_one_name__goes_up_in_all_processes() -> None:
    name = unique("name")
    assert [Minutes().count(name) for _ in range(3)] == [1, 2, 3]
    assert Minutes().read(name, unique("other")) == [3, 0]


def test_count__the_minute_is_over__begins_anew(clock: Clock) -> None:
    one, name = Minutes(), unique("name")
    one.count(name)
    clock.now += 20
    assert (one.count(name), minute_counter.seconds_to_next_minute()) == (1, 60)


def test_count__redis_forgets_in_between__is_unknown_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, name = Minutes(), unique("name")
    real = caches["default"]

    class Forgetful:
        def add(self, key: str, *args: Any, **kwargs: Any) -> bool:
            return True

        def incr(self, key: str) -> int:
            return int(real.incr(key))

    with monkeypatch.context() as patched:
        patched.setattr(minute_counter, "cache", Forgetful())
        assert one.count(name) == 0
    assert one.count(name) == 1


def test_count__redis_is_away__knows_nothing_and_asks_no_more_for_a_while(
    away: Broken, clock: Clock
) -> None:
    one = Minutes()
    assert [one.count("x") for _ in range(3)] == [0, 0, 0]
    assert one.read("x", "y") == [0, 0]
    assert away.asked == 1
    clock.ticks += minute_counter.BYPASS_S
    one.count("x")
    assert away.asked == 2


def test_used__redis_is_slow__is_not_asked_for_a_while(
    away: Broken, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Minutes()
    asked = away.get_many

    def slowly(*args: Any) -> dict[str, int]:
        clock.ticks += 2 * minute_counter.SLOW_S
        return asked(*args)

    monkeypatch.setattr(away, "get_many", slowly, raising=False)
    assert [one.read("x") for _ in range(3)] == [[0]] * 3
    assert away.asked == 1


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "wanted"),
    [
        ("1.2.3.4", "9.9.9.9", False, "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9, 5.6.7.8", True, "5.6.7.8"),
        ("1.2.3.4", "", True, "1.2.3.4"),
        ("2001:db8::1", "", False, "2001:db8::/64"),
        ("2001:db8::ffff:1", "", False, "2001:db8::/64"),
        ("::ffff:1.2.3.4", "", False, "1.2.3.4"),
        ("", "", False, ""),
        ("1.2.3.4", "unknown", True, ""),
    ],
)
def test_address__peer_and_forwarded__only_the_trusted_hop_counts(
    settings: Any, peer: str, forwarded: str, trusted: bool, wanted: str
) -> None:
    settings.TRUST_PROXY = trusted
    assert address.client_address(peer, forwarded) == wanted


def statuses(client: Caller, times: int, path: str = HERE, **headers: str) -> list[int]:
    return [client.get(path, **headers).status_code for _ in range(times)]


@pytest.mark.django_db
def test_api__one_key_too_often__is_429_and_others_go_on(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 3
    one, other = key_client("prompts:read"), key_client("prompts:read")
    assert statuses(one, 5) == [200, 200, 200, 429, 429]
    answer = one.get(HERE)
    assert answer.headers["Retry-After"] == "20"
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "20 s" in error["message"]
    assert statuses(other, 3) == [200, 200, 200]


@pytest.mark.django_db
def test_api__what_is_forbidden__counts_as_well(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 2
    assert statuses(key_client("llm"), 4) == [403, 403, 429, 429]


@pytest.mark.django_db
def test_api__a_person__is_counted_by_themselves(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 2
    assert statuses(person("prompts.view_prompt"), 3) == [200, 200, 429]
    assert statuses(person("prompts.view_prompt"), 1) == [200]


@pytest.mark.django_db
def test_api__nobody_known__is_counted_by_the_address(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 1
    nobody = Caller(REMOTE_ADDR="192.0.2.7")
    assert statuses(nobody, 2, "/api/schema") == [200, 429]


@pytest.mark.django_db
def test_api__no_limit_set__counts_nothing(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 0
    assert statuses(key_client("prompts:read"), 3) == [200] * 3


@pytest.mark.django_db
def test_api__redis_is_away__nobody_is_refused(settings: Any, away: Broken) -> None:
    settings.API_REQUESTS_PER_MINUTE = 1
    assert statuses(key_client("prompts:read"), 3) == [200] * 3
    # Once to check the count, once to raise it: then no more.
    assert away.asked == 2


def wrong_key() -> dict[str, str]:
    """Of the form of a key, and nobody's."""
    return {"HTTP_AUTHORIZATION": f"Bearer vc-{unique('')[1:]:z<12.12}-{'x' * 43}"}


@pytest.mark.django_db
def test_api__one_wrong_key_again_and_again__shuts_itself_out_alone(
    settings: Any,
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 3
    near, wrong = {"REMOTE_ADDR": "192.0.2.8"}, wrong_key()
    nobody = Caller()
    assert statuses(nobody, 5, **near, **wrong) == [401, 401, 401, 429, 429]
    refused = nobody.get(HERE, **near, **wrong)
    assert refused.json()["error"]["code"] == "too_many_failures"
    assert refused.headers["Retry-After"] == "20"
    assert statuses(key_client("prompts:read"), 1, **near) == [200]
    assert statuses(nobody, 1, REMOTE_ADDR="192.0.2.9", **wrong) == [401]


@pytest.mark.django_db
def test_api__many_wrong_keys__shut_the_address_out(settings: Any) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 3
    near = {"REMOTE_ADDR": "192.0.2.10"}
    for _ in range(3):
        assert statuses(Caller(), 1, **near, **wrong_key()) == [401]
    assert statuses(Caller(), 1, **near, **wrong_key()) == [429]
    assert statuses(key_client("prompts:read"), 1, **near) == [429]
    assert statuses(key_client("prompts:read"), 1, REMOTE_ADDR="192.0.2.11") == [200]


@pytest.mark.django_db
def test_api__revoked_key_again_and_again__is_told_so_first(settings: Any) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 2
    _, text = make_api_key(revoked=True)
    client = Caller(HTTP_AUTHORIZATION=f"Bearer {text}", REMOTE_ADDR="192.0.2.12")
    assert statuses(client, 3) == [401, 401, 429]
    settings.AUTH_FAILURES_PER_MINUTE = 0
    assert statuses(client, 1) == [401]
