"""Drift of the ledger, and models without a price."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from billing.alerts.types import Condition
from billing.models import AlertRule, LedgerCheck, Price, Refusal, Usage
from valuecanvas.core.templatetags import figures

# After this without a further request an alert about a price ends.
RECENT = timedelta(minutes=15)
# The code of refused requests for a model without a price.
BLOCKED = "model_unpriced"


def find_drift(rule: AlertRule) -> Iterator[Condition]:
    """Whether the newest check of the ledger has found drift."""
    check = LedgerCheck.objects.first()
    if check is None or check.ok:
        return
    drifted = {one["name"]: one["drifted"] for one in check.findings if one["drifted"]}
    rows = figures.commas(sum(drifted.values()))
    yield Condition(
        "drift",
        f"The ledger does not balance: {rows} rows break {', '.join(drifted)}.",
        drifted,
        reverse("admin:billing_ledger_health"),
    )


def find_unpriced(rule: AlertRule) -> Iterator[Condition]:
    """Each model that was just asked for and has no price: refused, or billed by a
    stand-in price.
    """
    since = timezone.now() - RECENT
    yield from _find_blocked(since)
    priced = set(
        Price.objects.filter(effective_from__lte=timezone.now()).values_list(
            "provider", "upstream_model"
        )
    )
    rows = Usage.objects.filter(marks__contains=["unpriced"], created_at__gte=since)
    pairs = rows.exclude(status="correction").values_list("provider", "upstream_model")
    for provider, model, count in pairs.annotate(count=Count("pk")).order_by():
        if (provider, model) not in priced:
            yield Condition(
                f"unpriced:{provider}:{model}",
                f"'{model}' at {provider} has no price: requests are billed at a "
                "stand-in price.",
                {"provider": provider, "upstreamModel": model, "requests": count},
                reverse("admin:billing_price_changelist"),
            )


def _find_blocked(since: object) -> Iterator[Condition]:
    rows = Refusal.objects.filter(code=BLOCKED, created_at__gte=since)
    counts = rows.values_list("model").annotate(count=Count("pk")).order_by()
    for model, count in counts:
        query = urlencode({"q": model})
        yield Condition(
            f"blocked:{model}",
            f"The model '{model}' has no price: its requests are refused.",
            {"model": model, "refused": count},
            f"{reverse('admin:llm_model_changelist')}?{query}",
        )
