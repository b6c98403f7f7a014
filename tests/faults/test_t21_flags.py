"""T21: PostgreSQL and Redis both gone: flags answer from memory, then from disk."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from flags import services
from flags.flag_store import FlagStore
from flags.metrics import AGE, LOADED
from tests.faults.cold_flags import answers, reading
from tests.faults.counts import either
from tests.faults.engines import Engines, own_engines
from tests.faults.report import Case
from tests.flags.rows import ADA, make_colours, make_flag

ROUNDS = either(2, 20)
COLD_STARTS = either(1, 5)
LIMIT_S = 0.001
NAMES = ["t21-share", "t21-colours", "t21-killed"]


@pytest.fixture
def engines(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Engines]:
    """Of this case's own, because both are killed."""
    with django_db_blocker.unblock(), own_engines(tmp_path) as made:
        yield made


def make_flags() -> None:
    make_flag(NAMES[0], percent=30)
    make_colours(NAMES[1], blue=5000, red=5000)
    services.kill(make_flag(NAMES[2], percent=100), actor=ADA)


def cold_start(engines: Engines, folder: Path) -> dict[str, Any]:
    """What a new process answers, to whom both engines are unreachable."""
    env = {
        **os.environ,
        "DATABASE_URL": engines.postgres.url,
        "REDIS_URL": engines.valkey.url,
        "CELERY_BROKER_URL": engines.valkey.url,
        "VALUECANVAS_VAR": str(folder),
    }
    command = [sys.executable, "-m", "tests.faults.cold_flags", *NAMES]
    done = subprocess.run(command, env=env, capture_output=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_flags__postgres_and_redis_killed__answered_from_memory_then_from_disk(
    engines: Engines, case: Case, tmp_path: Path, settings: Any
) -> None:
    settings.VAR_DIR = tmp_path / "var"
    store = FlagStore()
    engines.pool.submit(make_flags).result()
    known = engines.pool.submit(answers, store, NAMES).result()["values"]
    assert {value for _, _, value in known} == {True, False, "blue", "red"}
    before = reading(LOADED)

    engines.pool.submit(engines.crash_postgres).result()
    engines.kill_valkey()
    case.inject("PostgreSQL and Redis killed")
    seconds = []
    for _ in range(ROUNDS):
        found = engines.pool.submit(answers, store, NAMES).result()
        assert found["values"] == known
        seconds += found["seconds"]
    assert statistics.median(seconds) <= LIMIT_S
    # Known when the database was last there, and the age grows.
    assert reading(LOADED) == before
    assert reading(AGE) > 0

    for _ in range(COLD_STARTS):
        cold = cold_start(engines, tmp_path / "var")
        case.inject("cold start without either")
        assert cold["values"] == known
        assert statistics.median(cold["seconds"]) <= LIMIT_S
        assert 0 < cold["age_s"] < time.time() - before + 60
        seconds += cold["seconds"]
    case.figure("answers", f"{len(seconds)} of {len(seconds)} as before")
    median = statistics.median(seconds) * 1e6
    case.figure("CPU for an answer, median", f"{median:.0f} microseconds")

    engines.start_postgres()
    back = engines.pool.submit(answers, FlagStore(), NAMES).result()
    assert back["values"] == known
