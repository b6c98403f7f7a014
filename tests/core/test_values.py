"""Small values of the kernel: ids, money, sealed secrets, errors."""

import time
from decimal import Decimal

import orjson
import pytest

from valuecanvas.core import crypto, errors, money
from valuecanvas.core.errors import GatewayError
from valuecanvas.core.ids import uuid7


def test_uuid7__made_now__tells_version_variant_and_time() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {"specified in RFC 4122"}
    assert all(before <= one.int >> 80 <= after for one in made)
    assert len(set(made)) == len(made)


def test_uuid7__made_later__sorts_later() -> None:
    first = uuid7()
    while time.time_ns() // 1_000_000 == first.int >> 80:
        pass
    assert first < uuid7()


@pytest.mark.parametrize(
    ("usd", "micros"),
    [("1", 1_000_000), ("0.0000005", 1), ("0.0000004", 0), ("-0.0000005", -1)],
)
def test_money__to_micros__rounds_half_up(usd: str, micros: int) -> None:
    assert money.to_micros(Decimal(usd)) == money.rate(Decimal(usd)) == micros


@pytest.mark.parametrize("micros", [0, 1, 1500, -1500, 10**15 + 1, -1])
def test_money__there_and_back__is_exact(micros: int) -> None:
    assert money.to_micros(money.to_usd(micros)) == micros
    assert money.to_micros(Decimal(money.text(micros))) == micros


def test_money__as_text__has_six_decimals() -> None:
    texts = [money.text(micros) for micros in (0, 1500, -1_000_001)]
    assert texts == ["0.000000", "0.001500", "-1.000001"]


def test_money__cost_of_parts__is_rounded_once() -> None:
    parts = money.cost(3, 400_000) + money.cost(1, 300_000)
    assert parts == 1_500_000
    assert money.round_cost(parts) == 2
    assert money.round_cost(parts - 1) == 1


def test_money__cost_of_next_to_nothing__is_one_micro_dollar() -> None:
    # 24 tokens at 0.02 USD a million are 0.48 micro-dollars.
    assert money.round_cost(24 * money.rate(Decimal("0.02"))) == 1
    assert money.round_cost(1) == 1
    assert money.round_cost(0) == 0
    assert money.round_cost(-1) == 0


def test_seal__unsealed_by_its_owner__is_the_secret() -> None:
    sealed = crypto.seal("s3cret ü", "provider:a")
    assert crypto.unseal(sealed, "provider:a") == "s3cret ü"
    assert b"s3cret" not in sealed
    assert sealed != crypto.seal("s3cret ü", "provider:a")


def test_unseal__another_owner_or_changed__is_unreadable() -> None:
    sealed = crypto.seal("s3cret", "provider:a")
    with pytest.raises(crypto.UnreadableSecret):
        crypto.unseal(sealed, "provider:b")
    with pytest.raises(crypto.UnreadableSecret):
        crypto.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), "provider:a")


STATUSES = {
    "InvalidRequest": (400, "invalid_request_error", "invalid_request"),
    "BodyTooLarge": (413, "invalid_request_error", "request_too_large"),
    "UnsupportedMedia": (415, "invalid_request_error", "unsupported_media_type"),
    "Unprocessable": (422, "invalid_request_error", "unprocessable"),
    "NotAuthenticated": (401, "authentication_error", "invalid_api_key"),
    "NotPermitted": (403, "permission_error", "permission_denied"),
    "NotFound": (404, "invalid_request_error", "not_found"),
    "MethodNotAllowed": (405, "invalid_request_error", "method_not_allowed"),
    "Conflict": (409, "conflict_error", "conflict"),
    "TooManyRequests": (429, "rate_limit_error", "rate_limit_exceeded"),
    "QuotaExceeded": (429, "insufficient_quota", "insufficient_quota"),
    "BudgetExceeded": (429, "insufficient_quota", "budget_exceeded"),
    "UpstreamError": (502, "upstream_error", "upstream_error"),
    "Unavailable": (503, "service_unavailable_error", "service_unavailable"),
    "UpstreamTimeout": (504, "upstream_error", "upstream_timeout"),
}


@pytest.mark.parametrize("name", STATUSES)
def test_error__of_each_kind__has_its_status_type_and_code(name: str) -> None:
    error: GatewayError = getattr(errors, name)("No.")
    assert (error.status, error.type, error.code) == STATUSES[name]
    assert error.body() == {
        "error": {
            "message": "No.",
            "type": error.type,
            "param": None,
            "code": error.code,
        }
    }


def test_error__with_everything__is_the_openai_body() -> None:
    error = errors.QuotaExceeded(
        "Used up.",
        param="model",
        code="mine",
        headers={"Retry-After": "1"},
        extra={"upgrade": {"tier": "pro"}},
    )
    assert orjson.loads(error.json("req-1")) == {
        "error": {
            "message": "Used up.",
            "type": "insufficient_quota",
            "param": "model",
            "code": "mine",
            "upgrade": {"tier": "pro"},
            "request_id": "req-1",
        }
    }
    assert error.headers == {"Retry-After": "1"}
    assert (str(error), GatewayError("x").status) == ("Used up.", 500)
