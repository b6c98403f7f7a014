"""One of several processes of a port that cannot write its metrics serves all the same."""

import multiprocessing
from pathlib import Path

import pytest
from pytest_django import Settings
from structlog.testing import capture_logs

from valuecanvas.asgi import Application
from valuecanvas.http import metrics_view


def test_metrics__folder_cannot_be_made__are_of_one_process_and_it_is_logged(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAR_DIR = tmp_path / "file"
    settings.VAR_DIR.write_text("")
    monkeypatch.setattr(
        multiprocessing, "parent_process", multiprocessing.current_process
    )
    with capture_logs() as logs:
        Application()._share_metrics()
    assert [one["event"] for one in logs] == ["metrics.of_one_process"]
    assert metrics_view.TEXT.processes is None
