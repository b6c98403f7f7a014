"""Which origins may read the hot path's answers."""

import pytest

from valuecanvas.http import cors

ORIGIN = "https://app.example.com"


@pytest.fixture(autouse=True)
def _allowed(settings):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


def test_allow__a_listed_origin__may_read_the_answer_and_its_cost():
    headers: dict[str, str] = {}
    cors.allow(ORIGIN, headers, asked=None)
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "x-valuecanvas-cost-usd" in headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Headers" not in headers


def test_allow__an_answer_that_varies__varies_by_the_origin_as_well():
    headers = {"Vary": "Authorization"}
    cors.allow(ORIGIN, headers, asked=None)
    assert headers["Vary"] == "Authorization, Origin"


def test_allow__a_preflight__names_the_headers_that_sdks_send():
    headers: dict[str, str] = {}
    cors.allow(ORIGIN, headers, asked="")
    for name in ("authorization", "x-valuecanvas-context", "idempotency-key"):
        assert name in headers["Access-Control-Allow-Headers"]
    assert headers["Access-Control-Allow-Methods"] == "GET, POST, DELETE, OPTIONS"


@pytest.mark.parametrize("origin", ["", "https://evil.example", ORIGIN + ".evil"])
def test_allow__any_other_origin__gets_nothing(origin):
    headers: dict[str, str] = {}
    cors.allow(origin, headers, asked="x-stainless-lang")
    assert "Access-Control-Allow-Origin" not in headers
