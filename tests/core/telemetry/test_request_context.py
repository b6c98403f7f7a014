"""The event of a request that no settlement logs: one, with how it ended."""

import json
from typing import Any

import pytest

from tests.core.telemetry.test_log_lines import level as level
from valuecanvas.core.errors import GatewayError, NotFound
from valuecanvas.core.telemetry import request_context
from valuecanvas.core.telemetry.request_context import RequestContext

pytestmark = pytest.mark.usefixtures("level")


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("error", "status", "http_status", "code"),
    [
        (NotFound("No."), "refused", 404, "not_found"),
        (GatewayError("No."), "error", 500, "internal_error"),
        (ValueError("no"), "error", 500, "api_error"),
        (KeyboardInterrupt(), "client_gone", 499, ""),
    ],
)
def test_event__block_that_raises__says_how_it_ended(
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: str,
    http_status: int,
    code: str,
) -> None:
    with (
        pytest.raises(type(error)),
        RequestContext("chat", {"request_id": "r1"}),
    ):
        request_context.add(customer_id="c1")
        raise error
    (line,) = events(capsys)
    assert (line["status"], line["http_status"]) == (status, http_status)
    assert (line["error_code"], line["endpoint"]) == (code, "chat")
    assert (line["request_id"], line["customer_id"]) == ("r1", "c1")


def test_event__answered__is_ok(capsys: pytest.CaptureFixture[str]) -> None:
    with RequestContext("unknown") as done:
        done.name("v1/models")
        done.status = 200
    (line,) = events(capsys)
    assert (line["status"], line["endpoint"]) == ("ok", "v1/models")


def test_event__settled_or_a_probe__is_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with RequestContext("chat"):
        request_context.current().logged = True
    with RequestContext("") as done:
        done.name("health/ready")
    request_context.add(customer_id="of nobody")
    assert events(capsys) == []
