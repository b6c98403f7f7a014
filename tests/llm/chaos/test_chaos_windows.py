"""Windows of production: signed, short, and opened by the command alone."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from llm.chaos import chaos_windows
from llm.models import ChaosWindow

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def production(settings: Any, tmp_path: Path) -> None:
    settings.CHAOS_ENABLED = True
    settings.PRODUCTION = True
    settings.CHAOS_STOP_FILE = str(tmp_path / "chaos.stop")


def opened() -> ChaosWindow:
    return chaos_windows.open_window(hours=2, reason="Game day", opened_by="ada")


def test_window__that_was_opened__allows_experiments():
    assert "manage.py chaos open" in chaos_windows.why_forbidden()
    window = opened()
    assert chaos_windows.is_open()
    assert chaos_windows.why_forbidden() == ""
    assert chaos_windows.open_until() == window.ends_at
    assert chaos_windows.close_windows("bob") == 1
    assert not chaos_windows.is_open()
    window.refresh_from_db()
    assert "closed by bob" in window.reason


FORGED: dict[str, dict[str, Any]] = {
    "signature": {"signature": "A" * 43},
    "no signature": {"signature": ""},
    "end": {"ends_at": timezone.now() + 20 * HOUR},
    "begin": {"begins_at": timezone.now() - 5 * HOUR},
    "reason": {"reason": "Another"},
    "person": {"opened_by": "eve"},
}


@pytest.mark.parametrize("change", [*FORGED])
def test_window__that_was_changed_in_the_database__is_none(change):
    window = opened()
    ChaosWindow.objects.filter(pk=window.pk).update(**FORGED[change])
    assert not chaos_windows.is_open()
    assert chaos_windows.why_forbidden()
    assert chaos_windows.close_windows("bob") == 0


def test_window__that_is_over__allows_nothing():
    window = opened()
    window.begins_at, window.ends_at = timezone.now() - 2 * HOUR, timezone.now() - HOUR
    window.signature = chaos_windows.sign(window)
    window.save()
    assert not chaos_windows.is_open()


def test_window__of_another_key__is_none(settings):
    opened()
    settings.SECRET_KEY = "another-key-" * 5
    assert not chaos_windows.is_open()


def test_window__signed_for_two_days__is_none():
    window = opened()
    window.ends_at = window.begins_at + 48 * HOUR
    window.signature = chaos_windows.sign(window)
    window.save()
    assert not chaos_windows.is_open()


@pytest.mark.parametrize(
    ("hours", "reason", "named"),
    [(0, "x", "hours"), (25, "x", "hours"), (-1, "x", "hours"), (1, " ", "reason")],
)
def test_open__of_a_wrong_window__names_what_is_wrong(hours, reason, named):
    with pytest.raises(chaos_windows.WindowRefused, match=named):
        chaos_windows.open_window(hours=hours, reason=reason, opened_by="ada")


def test_why_forbidden__outside_of_production__needs_no_window(settings):
    settings.PRODUCTION = False
    assert chaos_windows.why_forbidden() == ""


def test_why_forbidden__with_the_stop_file__names_it(settings):
    opened()
    Path(settings.CHAOS_STOP_FILE).touch()
    assert settings.CHAOS_STOP_FILE in chaos_windows.why_forbidden()
