"""Logs are JSON objects, one a line, on standard error."""

import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from valuecanvas.core.telemetry import logs, request_context


@pytest.fixture
def level() -> Iterator[None]:
    kept = structlog.get_config()
    logs.configure("info")
    yield
    structlog.configure(**kept)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.usefixtures("level")
def test_event__with_fields__is_one_line_with_time_level_and_logger(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = uuid.uuid4()
    structlog.get_logger("a.b").warning("it.happened", request=one, text="ü\n")
    structlog.get_logger("a.b").debug("too.fine")
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "it.happened",
        "level": "warning",
        "logger": "a.b",
        "request": str(one),
        "text": "ü\n",
    }


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("value", ["lone \ud800", 2**70])
def test_event__value_that_json_hardly_holds__is_told_all_the_same(
    capsys: pytest.CaptureFixture[str], value: object
) -> None:
    structlog.get_logger().error("it.happened", value=value)
    assert lines(capsys)[0]["value"] == value


@pytest.mark.usefixtures("level")
def test_event__error_and_context__are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with request_context.RequestContext("", {"request_id": "r1"}):
        try:
            raise ValueError("odd")
        except ValueError:
            structlog.get_logger().exception("it.failed")
    (line,) = lines(capsys)
    assert (line["request_id"], line["logger"]) == ("r1", "")
    assert "ValueError: odd" in line["exception"]


def test_formatter__standard_library__has_the_same_form() -> None:
    record = logging.LogRecord("x.y", logging.ERROR, "f", 1, "%s!", ("so",), None)
    line = json.loads(logs.formatter().format(record))
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "so!", "level": "error", "logger": "x.y"}
