"""What a provider's answer means, and how long it asks us to wait."""

import datetime as dt
from email.utils import format_datetime
from typing import Any

import pytest

from llm.providers.base import Verdict
from llm.providers.registry import KINDS
from llm.upstream.client_errors import MOST_MESSAGE, passed_through
from llm.upstream.http import Failed, retry_after

QUOTA = {"code": "insufficient_quota"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "error", "verdict"),
    [
        (302, {}, Verdict.FAILURE),
        (400, {}, Verdict.CLIENT),
        (400, QUOTA, Verdict.BILLING),
        (401, {}, Verdict.AUTH),
        (402, {}, Verdict.BILLING),
        (404, {}, Verdict.CLIENT),
        (408, {}, Verdict.UNUSABLE),
        (409, {}, Verdict.CLIENT),
        (413, {}, Verdict.CLIENT),
        (422, {}, Verdict.CLIENT),
        (429, {}, Verdict.THROTTLED),
        (429, QUOTA, Verdict.BILLING),
        (500, {}, Verdict.FAILURE),
        (504, {}, Verdict.FAILURE),
        (529, {}, Verdict.FAILURE),
    ],
)
def test_classify__status__means_the_same_everywhere(
    kind: str, status: int, error: dict[str, Any], verdict: Verdict
) -> None:
    assert KINDS[kind].classify(status, error) is verdict


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 1),
        ("", 1),
        ("7", 7),
        ("0", 0),
        ("2.5", 2.5),
        ("-5", 1),
        ("nan", 1),
        ("inf", 1),
        ("1e999", 1),
        ("86400", 60),
        ("soon", 1),
        ("Wed, 99 Foo 2026", 1),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 1),
    ],
)
def test_retry_after__any_text__is_bounded(value: str | None, seconds: float) -> None:
    assert retry_after(value) == seconds


def test_retry_after__date_ahead__is_the_time_until_then() -> None:
    when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    assert 28 <= retry_after(format_datetime(when, usegmt=True)) <= 30


def test_failed__as_text__is_its_message() -> None:
    assert str(Failed(Verdict.FAILURE, "It broke.")) == "It broke."


@pytest.mark.parametrize(
    ("status", "shown"), [(400, 400), (403, 400), (None, 400), (404, 404), (422, 422)]
)
def test_passed_through__refusal__keeps_status_and_words(
    status: int | None, shown: int
) -> None:
    error = {"message": "No.", "param": "messages", "code": "too_long"}
    passed = passed_through(Failed(Verdict.CLIENT, "ours", status, error))
    assert (passed.status, passed.message) == (shown, "No.")
    assert (passed.param, passed.code) == ("messages", "too_long")
    assert passed.type == "invalid_request_error"


def test_passed_through__no_body__has_our_words() -> None:
    passed = passed_through(Failed(Verdict.CLIENT, "ours", 400))
    assert (passed.message, passed.param, passed.code) == ("ours", None, None)


def test_passed_through__long_or_odd_values__are_bounded() -> None:
    error = {"message": "x" * 9999, "param": 7, "code": "c" * 999}
    passed = passed_through(Failed(Verdict.CLIENT, "ours", 400, error))
    assert len(passed.message) == MOST_MESSAGE
    assert passed.param is None
    assert passed.code == "c" * 200
