"""A process that starts with PostgreSQL and Redis away: prints what its flags answer."""

import json
import os
import sys
import time
from typing import Any

import django
from django.apps import apps
from django.utils.module_loading import import_string

CALLERS = [f"user-{number}" for number in range(100)]


def answers(store: Any, names: list[str]) -> dict[str, Any]:
    """What each caller gets of each flag, and the CPU seconds of each answer."""
    evaluate = import_string("flags.engine.evaluation.evaluate")
    values, seconds = [], []
    for name in names:
        for caller in CALLERS:
            began = time.process_time()
            found = evaluate(store.current(), name, {"user": caller}, "unknown")
            seconds.append(time.process_time() - began)
            values.append([name, caller, found.value])
    return {"values": values, "seconds": seconds}


def reading(gauge: Any) -> float:
    """What the metric says."""
    [metric] = gauge.collect()
    value: float = metric.samples[0].value
    return value


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "valuecanvas.settings")
    django.setup()
    config: Any = apps.get_app_config("flags")
    told = answers(config.store, sys.argv[1:])
    told["age_s"] = reading(import_string("flags.metrics.AGE"))
    sys.stdout.write(json.dumps(told))
