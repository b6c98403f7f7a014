"""Errors go to Sentry by a setting, and nothing of those whom they hit goes with them."""

import json
import os
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest

from tests.core.telemetry.sentry_receiver import (
    CANARIES,
    SentryReceiver,
    sentry_receiver,
)
from valuecanvas.core.telemetry import errors

PROGRAM = ("-m", "tests.core.telemetry.failing_process")


def run(*program: str, dsn: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *program],
        env={**os.environ, "SENTRY_DSN": dsn},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def received() -> SentryReceiver:
    """What came of a process with one error of each kind, and of a flood of them."""
    with sentry_receiver() as found:
        ended = run(*PROGRAM, str(errors.MOST_A_MINUTE + 20), dsn=found.dsn)
        assert ended.returncode == 1
        assert "Cannot read" in ended.stderr
    return found


def named(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [
        one
        for one in events
        if name in (one.get("logger"), one.get("logentry", {}).get("message"))
    ]
    return found


def test_error__logged_with_canaries__arrives_without_them(
    received: SentryReceiver,
) -> None:
    everything = b"\n".join(received.bodies)
    assert b"Cannot read" in everything
    for canary in (*CANARIES, "canary7"):
        assert canary.encode() not in everything, canary
    # Neither the request nor the arguments of the task.
    assert b"page/?" not in everything
    assert b'"vars"' not in everything
    assert b"203.0.113.7" not in everything
    assert {name for one in received.events for name in one} <= {*errors.KEPT, "tags"}


def test_error__each_kind__has_its_exception_and_place(
    received: SentryReceiver,
) -> None:
    crashed = named(received.events, "it.crashed")
    (error,) = crashed["exception"]["values"]
    assert error["type"] == "ValueError"
    assert error["stacktrace"]["frames"][-1]["function"] == "crash"
    assert crashed["logger"] == "the.gateway"
    assert crashed["level"] == "error"
    assert crashed["environment"] == "test"
    assert crashed["release"]
    (given,) = named(received.events, "given.error")["exception"]["values"]
    assert given["type"] == "LookupError"
    (page,) = named(received.events, "django.request")["exception"]["values"]
    assert page["type"] == "ValueError"
    task = named(received.events, "celery.app.trace")
    assert task["logentry"]["formatted"].startswith("Task a.task[")
    (error,) = task["exception"]["values"]
    assert error["stacktrace"]["frames"][-1]["function"] == "crash"
    library = named(received.events, "a.package")["logentry"]
    assert library["message"] == "With %s"
    assert library["formatted"].startswith("With [")
    kinds = [one["exception"]["values"][-1]["mechanism"]["type"] for one in received.events if "exception" in one]  # fmt: skip
    assert named(received.events, "thread.crashed")["exception"]
    # By then the process has sent as many as it may, but its end is worth one more.
    assert "excepthook" in kinds


def test_error__in_the_context_of_a_request__carries_its_ids(
    received: SentryReceiver,
) -> None:
    tags = named(received.events, "it.crashed")["tags"]
    assert tags == {"request_id": "the-request", "trace_id": "a1b2", "job_id": "job-1"}
    task = named(received.events, "celery.app.trace")["tags"]
    assert task == {"request_id": "the-request", "trace_id": "a1b2"}
    assert named(received.events, "django.request")["tags"] == {}
    hot = named(received.events, "request.crashed")
    assert uuid.UUID(hot["tags"]["request_id"])


def test_errors__many_a_minute__are_cut_off(received: SentryReceiver) -> None:
    # Of what was logged twice one is sent; the end of the process counts apart.
    assert len(received.events) == errors.MOST_A_MINUTE - 1 + 1


def test_error__below_error_or_an_answer_that_was_meant__is_not_sent(
    received: SentryReceiver,
) -> None:
    texts = [str(one.get("logentry")) for one in received.events]
    assert not [one for one in texts if "no.error" in one or "busy" in one]


def test_limit__next_minute__lets_pass_again(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = errors.MinuteLimit(1)
    monkeypatch.setattr(time, "monotonic", lambda: 60.0)
    before = errors.DROPPED._value.get()
    assert [limit.take(), limit.take()] == [True, False]
    assert errors.DROPPED._value.get() == before + 1
    monkeypatch.setattr(time, "monotonic", lambda: 120.0)
    assert limit.take()


def test_receiver__away__changes_nothing_for_a_process() -> None:
    off = run(*PROGRAM, "0", dsn="")
    away = run(*PROGRAM, "0", dsn="http://public@127.0.0.1:9/7")
    assert off.returncode == away.returncode == 1
    # The same errors are logged, and nothing of Sentry's.
    assert len(logged(off.stderr)) == len(logged(away.stderr))


def logged(text: str) -> list[str]:
    lines = [json.loads(one) for one in text.splitlines() if one.startswith("{")]
    assert len(lines) > 5
    return [one["event"] for one in lines]


def test_sentry__no_dsn__is_not_imported() -> None:
    check = "import django, sys; django.setup(); import valuecanvas.asgi; sys.exit('sentry_sdk' in sys.modules)"
    ended = run("-c", check, dsn="")
    assert ended.returncode == 0, ended.stderr


def test_dsn__without_a_key__stops_the_start_and_is_not_told() -> None:
    ended = run("-c", "import django; django.setup()", dsn="https://host.example/pr")
    assert ended.returncode == 1
    assert "SENTRY_DSN must be as Sentry shows it" in ended.stderr
    assert "host.example" not in ended.stderr
