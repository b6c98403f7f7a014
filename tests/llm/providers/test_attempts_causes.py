"""What a caller is told where no route delivered: why, for each, and when to come back."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from llm.providers.base import Verdict
from llm.types import Failure
from llm.upstream.attempts import Attempts

HELD: Any = SimpleNamespace(
    call=SimpleNamespace(started=0.0), plan=SimpleNamespace(longest_s=1.0)
)


def attempts(*failures: Failure) -> Attempts:
    return Attempts(HELD, failures=list(failures))


def failed(provider: str, verdict: Verdict, message: str, words: str = "") -> Failure:
    at = dt.datetime.now(dt.UTC)
    return Failure(provider, "m", verdict.value, None, message, words, 1, at)


SLOW = failed("a", Verdict.THROTTLED, "The provider answered 429.", "Slow down.")
BROKEN = failed("b", Verdict.FAILURE, "The provider answered 500.", "Oh no.")


def test_exhausted__every_route_throttled__is_429_with_the_shortest_wait() -> None:
    tried = attempts(SLOW)
    tried.note_retry(30_000)
    tried.reject("b", "throttled")
    tried.note_retry(6_001)
    error = tried.final_error()
    assert (error.status, error.type) == (429, "rate_limit_error")
    assert error.code == "providers_throttled"
    assert error.headers["Retry-After"] == "7"


@pytest.mark.parametrize("wait", [0, 1, 999])
def test_exhausted__a_route_is_back_at_once__is_a_second(wait: int) -> None:
    tried = attempts()
    tried.reject("a", "throttled")
    tried.note_retry(wait)
    tried.note_retry(9_000)
    assert tried.final_error().headers["Retry-After"] == "1"


def test_exhausted__throttled_and_open__is_503() -> None:
    tried = attempts()
    tried.reject("a", "throttled")
    tried.reject("b", "auth")
    error = tried.final_error()
    assert (error.status, error.code) == (503, "no_provider_available")
    assert "a: it asks us to slow down. b: its breaker is open (auth)." in error.message


def test_exhausted__some_failed__says_of_each_route_why() -> None:
    tried = attempts(SLOW, BROKEN, BROKEN)
    tried.skip("c", "its breaker is held open by an operator")
    error = tried.final_error()
    assert error.status == 502
    assert error.message == (
        "No provider of this model could answer. "
        "a: The provider answered 429. Slow down. "
        "b: The provider answered 500. Oh no. "
        "c: its breaker is held open by an operator."
    )


def test_exhausted__last_one_timed_out__says_of_each_route_why() -> None:
    tried = attempts(BROKEN)
    tried.timed_out = True
    error = tried.final_error()
    assert error.status == 504
    assert error.message.endswith("in time. b: The provider answered 500. Oh no.")
