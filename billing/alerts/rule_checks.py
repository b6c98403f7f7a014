"""Checks all rules, and has what is new sent."""

import structlog
from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from billing.alerts import alert_events
from billing.alerts.types import Source
from billing.models import AlertRule
from valuecanvas.core.db.statement_timeout import limit_statements
from valuecanvas.core.webhooks.models import LONGEST_ERROR

log = structlog.get_logger("billing.alerts")
# Of each rule, for a statement of the database.
TIMEOUT_S = 5.0


def check_rules() -> int:
    """Check every rule, then send what is new. Returns the number of new alerts.

    A rule that cannot be checked keeps its alerts as they are, and stops no other.
    """
    for rule in AlertRule.objects.all():
        _evaluate(rule)
    return alert_events.notify()


def _evaluate(rule: AlertRule) -> None:
    error = ""
    try:
        with limit_statements(TIMEOUT_S):
            source: Source = import_string(settings.ALERT_SOURCES[rule.kind])
            # Those of a disabled rule are resolved.
            alert_events.apply(rule, list(source(rule)) if rule.enabled else [])
    except Exception as failure:  # noqa: BLE001 - whatever one fails of, others are checked
        error = f"{type(failure).__name__}: {failure}"[:LONGEST_ERROR]
        log.warning("alerts.rule_failed", rule=rule.name, error=error)
        # After a timeout the connection is closed: the next rule gets a new one.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
    if error != rule.last_error:
        AlertRule.objects.filter(pk=rule.pk).update(last_error=error)
