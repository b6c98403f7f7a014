"""The log level at run time: who may set it, until when, and who follows it."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.models import LogLevel
from valuecanvas.core.telemetry import log_level, logs
from valuecanvas.core.telemetry.log_level import LogLevelWatch

ADD, LIST = "admin:core_loglevel_add", "admin:core_loglevel_changelist"


def form(hours: float) -> dict[str, Any]:
    at = timezone.now() + timedelta(hours=hours)
    return {
        "level": "debug",
        "expires_at_0": f"{at:%Y-%m-%d}",
        "expires_at_1": f"{at:%H:%M:%S}",
    }


def test_level__set_by_an_operator__is_in_force_and_in_the_audit_log(
    operator: Client,
) -> None:
    assert b"All processes log at LOG_LEVEL" in operator.get(reverse(LIST)).content
    assert operator.post(reverse(ADD), form(0.5)).status_code == 302
    assert log_level.level_in_force() == "debug"
    assert LogEntry.objects.get().object_id == str(LogLevel.objects.get().pk)
    LogLevel.objects.update(expires_at=timezone.now())
    assert log_level.level_in_force() == "info"


@pytest.mark.parametrize("hours", [-1, 25])
def test_level__for_no_time_or_too_long__is_a_form_error(
    operator: Client, hours: float
) -> None:
    answer = operator.post(reverse(ADD), form(hours))
    assert b"within the next 24 hours" in answer.content
    assert not LogLevel.objects.exists()


def test_level__auditor_and_newcomer__may_not_set_it(
    auditor: Client, newcomer: Client
) -> None:
    assert auditor.get(reverse(LIST)).status_code == 200
    for client in (auditor, newcomer):
        assert client.post(reverse(ADD), form(0.5)).status_code == 403


@pytest.fixture
def threshold() -> Iterator[None]:
    yield
    logs.set_level("info")


@pytest.mark.usefixtures("threshold")
async def test_watch__level_set_and_expired__is_followed(
    db_thread: DbThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["debug", "info"])
    seen = []

    def answer() -> str:
        seen.append(logging.root.level)
        return next(answers, "info")

    monkeypatch.setattr(log_level, "level_in_force", answer)
    monkeypatch.setattr(log_level, "EVERY_S", 0.0)
    watch = LogLevelWatch(db_thread)
    watch.start()
    while len(seen) < 3:
        await asyncio.sleep(0.001)
    await watch.stop()
    assert seen[:3] == [logging.INFO, logging.DEBUG, logging.INFO]


@pytest.mark.usefixtures("threshold")
def test_set_level__loggers_that_exist__change_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info")
    log = structlog.get_logger("kept").bind()
    log.debug("too.fine")
    logs.set_level("debug")
    log.debug("now.told")
    err = capsys.readouterr().err
    assert "now.told" in err
    assert "too.fine" not in err
