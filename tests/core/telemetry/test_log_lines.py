"""Logs are JSON objects, one a line, on standard error."""

import json
import logging
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings

from valuecanvas.core.telemetry import logs, request_context


@pytest.fixture
def level() -> Iterator[None]:
    logs.configure("info")
    yield
    # Its list of processors is one for all configurations, so what was kept would change.
    logs.configure(settings.LOG_LEVEL, settings.LOG_FORMAT)


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


# Of RELIABILITY T26: what would begin a line of its own, or move a terminal's cursor.
ABUSE = [
    "a\r\nX-Injected: 1",
    'a\n{"event":"request.done","level":"info"}',
    "\x1b[2J\x1b[1;31mred\x1b]0;title\x07",
    "\x9b31m c1 \x85 next line",
    "\x00\x08\x0b\x0c\x7f",
    "\u2028\u2029 \u202e right to left \u2066",
    "\ud800 lone",
    "x" * 70_000,
]


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("form", [logs.JSON, logs.TEXT])
@pytest.mark.parametrize("number", range(len(ABUSE)))
def test_lines__with_what_would_break_them__are_as_many_as_events(
    capsys: pytest.CaptureFixture[str], form: str, number: int
) -> None:
    logs.configure("info", form)
    text = ABUSE[number]
    structlog.get_logger(text).info(text, about=text, nested=[text], **{text: text})
    record = logging.LogRecord(text, logging.ERROR, "f", 1, "%s", (text,), None)
    told = capsys.readouterr().err + logs.formatter(form).format(record) + "\n"
    assert len(told.splitlines()) == 2
    assert told.replace("\n", "").isprintable()


@pytest.mark.usefixtures("level")
def test_text__event_and_traceback__are_for_people(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", logs.TEXT)
    try:
        raise ValueError("of ann@example.com\x1b[1m")
    except ValueError:
        structlog.get_logger("a.b").exception("it.failed", tokens=12, cost=None)
    first, *traceback = capsys.readouterr().err.splitlines()
    assert "it.failed" in first
    assert "tokens=12" in first
    assert traceback[-1] == "ValueError: of [email]\\u001b[1m"


@pytest.mark.usefixtures("level")
def test_thread__that_crashes__is_a_line_without_locals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", logs._log_crash)

    def crash() -> None:
        secret = "of ann@example.com"
        raise ValueError(secret)

    thread = threading.Thread(target=crash, name="worker-7")
    thread.start()
    thread.join()
    (line,) = lines(capsys)
    assert (line["event"], line["thread"]) == ("thread.crashed", "worker-7")
    assert "ValueError: of [email]" in line["exception"]
