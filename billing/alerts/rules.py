"""The rules that each installation begins with."""

from billing.models import AlertKind, AlertRule, Severity

SEVERITIES = {
    AlertKind.BREAKER: Severity.ERROR,
    AlertKind.DRIFT: Severity.CRITICAL,
    AlertKind.KEY: Severity.CRITICAL,
    AlertKind.ERRORS: Severity.ERROR,
}


def ensure_rules() -> list[str]:
    """Create a rule for each kind that has none. Returns the names of the new ones.

    What operators change stays. They have no channels at first.
    """
    known = set(AlertRule.objects.values_list("kind", flat=True))
    new = [
        AlertRule(
            name=kind.label,
            kind=kind,
            severity=SEVERITIES.get(kind, Severity.WARNING),
        )
        for kind in AlertKind
        if kind not in known
    ]
    AlertRule.objects.bulk_create(new, ignore_conflicts=True)
    return [one.name for one in new]
