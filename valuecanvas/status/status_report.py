"""Runs all checks within bounds: for the admin's page and for `manage.py status`."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, connection
from redis.exceptions import RedisError

from llm.breaker.report import UnreadableReport
from valuecanvas.core.db.statement_timeout import limit_statements
from valuecanvas.status import engine_checks as engines
from valuecanvas.status import work_checks as work
from valuecanvas.status.types import HealthCheck, HealthFinding, HealthState

log = structlog.get_logger("status")
# For one statement, and after which no further check begins, in seconds.
STATEMENT_S, TOTAL_S = 2.0, 10.0
KEPT_S = 5.0
DATABASE, REDIS = "database", "redis"
CHECKS = (
    HealthCheck(DATABASE, "Database", engines.check_database),
    HealthCheck(REDIS, "Redis", engines.check_redis),
    HealthCheck("providers", "Providers", work.check_providers, "llm_breakers", DATABASE),
    HealthCheck("errors", "Errors", work.check_errors, "billing_request_changelist", DATABASE),
    HealthCheck("models", "Models", work.check_models, "llm_model_changelist", DATABASE),
    HealthCheck("alerts", "Alerts", work.check_alerts, "billing_alertevent_changelist", DATABASE),
    HealthCheck("queue", "Queue", work.check_queue, "llm_queue", DATABASE),
    HealthCheck("beat", "Periodic tasks", work.check_beat, "django_celery_beat_periodictask_changelist", DATABASE),
    HealthCheck("backups", "Backups", work.check_backups, "backups_backup_changelist", DATABASE),
    HealthCheck("ledger", "Ledger", work.check_ledger, "billing_ledger_health", DATABASE),
    HealthCheck("chaos", "Chaos", work.check_chaos, needs=DATABASE),
    HealthCheck("disks", "Disks", engines.check_disks),
    HealthCheck("configuration", "Configuration", engines.check_configuration, needs=DATABASE),
    HealthCheck("migrations", "Migrations", engines.check_migrations, needs=DATABASE),
    HealthCheck("versions", "Version", engines.check_versions),
)  # fmt: skip
REMEDIES = {
    DATABASE: "See that PostgreSQL at DATABASE_URL runs and can be reached.",
    REDIS: "See that Redis at REDIS_URL runs. Requests go on, without cache and shared limits.",
}


@dataclass(frozen=True, slots=True)
class StatusRow:
    check: HealthCheck
    finding: HealthFinding

    def shown(self) -> dict[str, Any]:
        one = self.finding
        return {"name": self.check.name, "state": str(one.state), "figure": one.figure, "remedy": one.remedy}  # fmt: skip


def run_checks(checks: Sequence[HealthCheck] = CHECKS) -> list[StatusRow]:
    """A row for each part that this process has. Takes seconds at most, and never raises."""
    started, failed, rows = time.monotonic(), set(), []
    for check in checks:
        if check.needs in failed:
            finding = _unknown(f"not checked: the {check.needs} does not answer")
        elif time.monotonic() - started > TOTAL_S:
            finding = _unknown("not checked: the checks before it took too long")
        else:
            found = _run(check)
            if found is None:
                continue
            finding = found
        if finding.state is HealthState.FAILING:
            failed.add(check.name)
        rows.append(StatusRow(check, finding))
    return rows


def _run(check: HealthCheck) -> HealthFinding | None:
    if not connection.in_atomic_block:
        # The check before may have lost it.
        connection.close_if_unusable_or_obsolete()
    try:
        with limit_statements(STATEMENT_S):
            return check.run()
    except (DatabaseError, InterfaceError, RedisError, UnreadableReport) as error:
        # Not its text, which may name hosts and users.
        kind = type(error).__name__
        if check.name in REMEDIES:
            return HealthFinding(HealthState.FAILING, f"does not answer ({kind})", REMEDIES[check.name])  # fmt: skip
        return _unknown(f"no answer in time ({kind})")
    except Exception:
        # A fault of one check must not hide the others.
        log.exception("status.check_crashed", check=check.name)
        return _unknown("this check failed itself: see the log")


def _unknown(figure: str) -> HealthFinding:
    return HealthFinding(HealthState.UNKNOWN, figure)


@dataclass(slots=True)
class KeptStatus:
    """The rows, found at most once in KEPT_S by a process, whoever asks."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _rows: list[StatusRow] = field(default_factory=list)
    _due: float = 0.0

    def read(self) -> list[StatusRow]:
        with self._lock:
            if time.monotonic() >= self._due:
                self._rows = run_checks()
                self._due = time.monotonic() + KEPT_S
            return self._rows


KEPT = KeptStatus()
