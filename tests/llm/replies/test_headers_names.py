"""The response headers that tell what is left, and until when."""

import datetime as dt
import uuid

import pytest

from billing.ledger import Admitted, BudgetRefused, Limit, Party, QuotaRefused
from llm.replies import headers, limit_headers

NOON = dt.datetime(2026, 2, 27, 12, 0, tzinfo=dt.UTC)
LAST = dt.datetime(2026, 12, 31, 23, 59, 59, 900_000, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("at", "seconds"), [(NOON, 43_200), (LAST, 1), (NOON.replace(hour=0), 86_400)]
)
def test_seconds_to_midnight__any_time__is_at_least_one(
    at: dt.datetime, seconds: int
) -> None:
    assert headers.seconds_to_midnight(at) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (59, "59s"), (360, "6m0s"), (3600, "1h0m0s"), (7384, "2h3m4s")],
)
def test_duration__seconds__reads_as_openai_writes_it(seconds: int, text: str) -> None:
    assert limit_headers.duration(seconds) == text


def test_quota__some_used__says_what_is_left_by_both_names() -> None:
    assert headers.quota(3, 10, NOON) == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "7",
        "x-ratelimit-reset-requests": "12h0m0s",
        "RateLimit-Policy": '"daily";q=10;w=86400',
        "RateLimit": '"daily";r=7;t=43200',
    }


def test_quota__more_used_than_the_tier_now_has__leaves_none() -> None:
    assert headers.quota(12, 10, NOON)["RateLimit"] == '"daily";r=0;t=43200'


def test_quota_refused__retry_after__is_not_earlier_than_the_reset() -> None:
    sent = headers.quota_refused(QuotaRefused(10, 10, NOON))
    assert sent["Retry-After"] == "43200"
    assert sent["RateLimit"].endswith("t=43200")
    assert sent["x-should-retry"] == "false"


def test_admitted__answer_of_the_ledger__gives_the_same_names() -> None:
    admitted = Admitted(
        uuid.uuid4(), Party(uuid.uuid4()), NOON.date(), NOON, 5, 3, 10, ()
    )
    assert headers.quota_headers(admitted) == headers.quota(3, 10, NOON)


@pytest.mark.parametrize(
    ("period", "at", "wait"),
    [
        ("day", NOON, "43200"),
        ("month", NOON, str(43_200 + 86_400)),
        ("month", LAST, "1"),
        ("month", NOON.replace(month=12, day=31), "43200"),
    ],
)
def test_budget_refused__period__says_when_it_ends(
    period: str, at: dt.datetime, wait: str
) -> None:
    refused = BudgetRefused(Limit("g:", period, 5), 5, 0, at)
    assert headers.budget_refused(refused)["Retry-After"] == wait


def test_budget_refused__for_ever__names_no_time() -> None:
    refused = BudgetRefused(Limit("g:", "total", 5), 5, 0, NOON, 3, 10)
    told = {**headers.quota(3, 10, NOON), "x-should-retry": "false"}
    assert headers.budget_refused(refused) == told
