"""Experiments, runs and windows of chaos, as rows."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from llm.chaos import chaos_windows
from llm.models.chaos import ChaosExperiment, ChaosRun, ChaosWindow
from tests.fixtures_billing import unique

PLAN = {
    "fault": "error",
    "parameters": {"status": 503},
    "percent": 5,
    "providers": [],
    "model_names": [],
    "endpoints": ["chat"],
    "conditions": [],
}


def make_chaos_experiment(**fields: Any) -> ChaosExperiment:
    values = {
        "name": unique("chaos"),
        "hypothesis": "Nobody gets an error.",
        "fault": "error",
        "parameters": {"status": 503},
        "percent": 5,
        "endpoints": ["chat"],
        "most_error_percent": 2,
        **fields,
    }
    return ChaosExperiment.objects.create(**values)


def make_chaos_run(**fields: Any) -> ChaosRun:
    now = timezone.now()
    values = {
        "name": unique("chaos"),
        "state": "completed",
        "plan": PLAN,
        "started_at": now - timedelta(minutes=6),
        "ends_at": now - timedelta(minutes=1),
        "ended_at": now - timedelta(minutes=1),
        "samples": make_samples(),
        "findings": [{"expected": "No errors.", "seen": "None.", "holds": True}],
        "verdict": "passed",
        "injected": 41,
        **fields,
    }
    return ChaosRun.objects.create(**values)


def make_active_run(**fields: Any) -> ChaosRun:
    now = timezone.now()
    values = {
        "state": "running",
        "started_at": now - timedelta(minutes=1),
        "ends_at": now + timedelta(minutes=4),
        "lease_until": now + timedelta(minutes=4),
        "ended_at": None,
        "verdict": "",
        "findings": [],
        **fields,
    }
    return make_chaos_run(**values)


def make_samples() -> list[dict[str, Any]]:
    """Ten of each phase, as the controller writes them."""
    begin = timezone.now() - timedelta(minutes=5)
    return [
        {
            "at": (begin + timedelta(seconds=5 * number)).isoformat(),
            "phase": phase,
            "requests": 100 + number,
            "errors": number % 3 if phase == "during" else 0,
            "p95_ms": 800 if phase == "during" else 400,
            "cost_usd": 0.001,
            "injected": 5 if phase == "during" else 0,
        }
        for number, phase in enumerate(
            10 * ["before"] + 20 * ["during"] + 10 * ["after"]
        )
    ]


def make_chaos_window(**fields: Any) -> ChaosWindow:
    now = timezone.now()
    values = {
        "begins_at": now,
        "ends_at": now + timedelta(hours=2),
        "reason": "Game day.",
        "opened_by": "olga",
        **fields,
    }
    window = ChaosWindow(**values)
    window.signature = window.signature or chaos_windows.sign(window)
    window.save()
    return window
