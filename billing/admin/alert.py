"""Alerts in the admin: what fires, what has fired, and what was sent of it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.admin.alert_deliveries import DeliveriesPage, deliveries_of
from billing.alerts import alert_events
from billing.models import AlertEvent, AlertRule, AlertState
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.columns import link
from valuecanvas.core.admin.filters import NamesFilter, TimeFilter
from valuecanvas.core.webhooks.models import WebhookDelivery


class RuleFilter(NamesFilter):
    title = "rule"
    parameter_name = "rule"

    def names(self) -> Any:
        rows = AlertRule.objects.values_list("pk", "name")
        return [(str(pk), name) for pk, name in rows]


def _why_unsent(event: AlertEvent) -> str:
    """Why nothing was sent of it, if so."""
    if event.notified_at:
        return "Its rule had no channel that was enabled."
    if event.state == AlertState.RESOLVED:
        return "It was resolved before."
    if event.rule.is_muted:
        return "Its rule is muted."
    return "The next check of the rules sends it."


@admin.register(AlertEvent)
class AlertEventAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("opened_at", "status", "level", "summary", "rule_link", "resolved_at")  # fmt: skip
    list_select_related = ("rule",)
    list_defer = ("details",)
    list_filter = (
        ("state", ChoicesDropdownFilter), ("severity", ChoicesDropdownFilter),
        RuleFilter, ("opened_at", TimeFilter),
    )  # fmt: skip
    ordering = ("-id",)
    fields = (
        "summary", ("status", "level"), ("rule_link", "subject"),
        ("opened_at", "resolved_at"), ("held_at", "notified_at"), "figures",
    )  # fmt: skip
    pages = (DeliveriesPage,)
    change_form_outer_after_template = "admin/billing/alertevent/after.html"
    empty_text = (
        "Nothing has fired so far. The alert rules are checked every 15 seconds; "
        "what they find is listed here."
    )

    def details(self, request: HttpRequest, row: AlertEvent) -> dict[str, Any]:
        return {**deliveries_of(self, row), "why_unsent": _why_unsent(row)}

    def deliveries(self, event: AlertEvent) -> Any:
        """What was sent of it."""
        rows = WebhookDelivery.objects.filter(about=alert_events.about(event))
        return rows.order_by("-id")

    @display(
        description="State",
        ordering="state",
        label={"Firing": "danger", "Resolved": "success"},
    )
    def status(self, event: AlertEvent) -> str:
        return event.get_state_display()

    @display(
        description="Severity",
        label={
            "Critical": "danger", "Error": "danger", "Warning": "warning", "Info": "info",
        },
    )  # fmt: skip
    def level(self, event: AlertEvent) -> str:
        return event.get_severity_display()

    @display(description="Rule")
    def rule_link(self, event: AlertEvent) -> str:
        return link("billing_alertrule", event.rule_id, event.rule)

    @display(description="About")
    def subject(self, event: AlertEvent) -> str:
        if not event.link.startswith("/"):  # a path of ours, or nothing
            return "–"
        return format_html('<a class="vc-link" href="{}">Open</a>', event.link)

    @display(description="Figures")
    def figures(self, event: AlertEvent) -> str:
        return (
            format_html_join(
                "", "<div>{}: {}</div>", ((k, v) for k, v in event.details.items())
            )
            or "–"
        )
