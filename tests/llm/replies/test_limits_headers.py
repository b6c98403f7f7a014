"""Minute limits in headers and errors, as SDKs and the IETF's draft read them."""

import pytest

from billing.minute_limits import MinuteLimits
from llm.admission.refusals import limit_error as error
from llm.limits.types import Hold, LimitKind, LimitRefused, MinuteUse, Subject
from llm.replies.headers import quota
from llm.replies.limit_headers import headers, merge
from tests.fixtures_billing import LONG_AGO

ALL = Subject("c:1", MinuteLimits(10, 20_000, 2))
KEY = Subject("k:abc", MinuteLimits(tokens=500))


def taken(*holds: Hold) -> MinuteUse:
    return MinuteUse("id", 100, holds)


def hold(subject: Subject, requests: int, tokens: int, concurrent: int) -> Hold:
    return Hold(subject, 1, requests, tokens, concurrent, 1_500, 61_000, False)


def test_headers__no_limits__are_none():
    assert headers(taken()) == {}


def test_headers__all_limits__name_each_policy():
    assert headers(taken(hold(ALL, 9, 19_900, 1))) == {
        "RateLimit-Policy": '"minute";q=10;w=60, '
        '"tokens";q=20000;w=60;vc-unit="tokens", '
        '"concurrent";q=2;qu="concurrent-requests"',
        "RateLimit": '"minute";r=9;t=2, "tokens";r=19900;t=2, "concurrent";r=1',
        "x-ratelimit-limit-tokens": "20000",
        "x-ratelimit-remaining-tokens": "19900",
        "x-ratelimit-reset-tokens": "1m1s",
    }


def test_headers__customer_and_key__tell_the_tightest():
    sent = headers(taken(hold(ALL, 9, 19_900, 1), hold(KEY, -1, 400, -1)))
    assert sent["x-ratelimit-limit-tokens"] == "500"
    assert '"tokens";r=400;t=2' in sent["RateLimit"]
    assert '"minute";r=9' in sent["RateLimit"]


def test_headers__of_a_refused_request__say_when_to_come_back():
    refused = LimitRefused(ALL, LimitKind.REQUESTS, 10, 0, 3.2)
    assert headers(refused) == {
        "RateLimit-Policy": '"minute";q=10;w=60',
        "RateLimit": '"minute";r=0;t=4',
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "4s",
        "Retry-After": "4",
    }


def test_headers__too_many_at_once__ask_for_a_short_wait():
    assert headers(LimitRefused(ALL, LimitKind.CONCURRENT, 2, 0, 0.2)) == {
        "RateLimit-Policy": '"concurrent";q=2;qu="concurrent-requests"',
        "RateLimit": '"concurrent";r=0;t=1',
        "Retry-After": "1",
    }


def test_headers__what_never_fits__forbid_another_try():
    sent = headers(LimitRefused(KEY, LimitKind.TOKENS, 500, 500, None))
    assert sent["x-should-retry"] == "false"
    assert sent["RateLimit"] == '"tokens";r=500'
    assert "Retry-After" not in sent
    assert "x-ratelimit-reset-tokens" not in sent


def test_merge__the_day_and_the_minute__lists_both():
    merged = merge(quota(1, 10, LONG_AGO), headers(taken(hold(KEY, -1, 400, -1))))
    assert merged["RateLimit"] == '"daily";r=9;t=86400, "tokens";r=400;t=2'
    assert merged["RateLimit-Policy"] == (
        '"daily";q=10;w=86400, "tokens";q=500;w=60;vc-unit="tokens"'
    )
    assert merged["x-ratelimit-limit-requests"] == "10"
    assert merged["x-ratelimit-limit-tokens"] == "500"
    assert merge(merged, {}) == merged


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (
            LimitRefused(ALL, LimitKind.REQUESTS, 10, 0, 3.2),
            "The 10 requests a minute of this user are used up. Try again in 4 s.",
        ),
        (
            LimitRefused(KEY, LimitKind.TOKENS, 500, 20, 60.0),
            "Too few of the 500 tokens a minute of this API key are left. "
            "Try again in 60 s.",
        ),
        (
            LimitRefused(ALL, LimitKind.CONCURRENT, 2, 0, 1.0),
            "The limit of this user, 2 requests at once, is reached. Try again in 1 s.",
        ),
        (
            LimitRefused(KEY, LimitKind.TOKENS, 500, 500, None),
            "This request can never pass: it may need more than all of the 500 tokens a "
            "minute of this API key. A max_tokens of at most 500 fits.",
        ),
    ],
)
def test_error__each_refusal__is_a_429_that_says_why(
    refused: LimitRefused, message: str
):
    made = error(refused)
    assert (made.status, made.code) == (429, "rate_limit_exceeded")
    assert made.message == message
    assert made.headers == headers(refused)
