"""Ledger health: each invariant, when it was checked, and the rows that break it."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.http import require_http_methods

from billing.accounting import reconcile
from billing.accounting.reconcile import Drift, Finding
from billing.admin.counter import CUSTOMER
from billing.admin.customer_name import names_of
from billing.budget_scopes import BY_LETTER, BudgetScope
from billing.models import LedgerCheck
from valuecanvas.core import money
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.db.statement_timeout import limit_statements
from valuecanvas.core.templatetags import figures

RIGHT = "billing.run_ledgercheck"
HISTORY = 12
# The most that a page waits; the command waits longer.
PATIENCE_S = 20
SPANS = {"2": "today and yesterday", "32": "the last 32 days"}


@admin.register(LedgerCheck)
class LedgerCheckAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("started_at", "state", "span", "rows_checked", "took", "by")
    list_filter = ("ok",)
    ordering = ("-id",)
    fields = (("started_at", "took"), ("span", "by"))
    change_form_outer_after_template = "admin/billing/ledgercheck/after.html"
    empty_text = "The ledger is checked every hour. There was no check so far."

    def get_urls(self) -> list[URLPattern]:
        view = require_http_methods(["GET", "POST"])(self.health_view)
        return [
            self.route("health/", view, "billing_ledger_health"),
            *super().get_urls(),
        ]

    def details(self, request: HttpRequest, row: LedgerCheck) -> dict[str, Any]:
        return {"findings": render_findings(row)}

    @display(description="State", label={"no drift": "success", "drift": "danger"})
    def state(self, check: LedgerCheck) -> str:
        return "no drift" if check.ok else "drift"

    @display(description="Days")
    def span(self, check: LedgerCheck) -> str:
        return f"{check.first_day or 'the first day'} to {check.last_day}"

    @display(description="Took")
    def took(self, check: LedgerCheck) -> str:
        took = check.finished_at - check.started_at
        return figures.duration(round(took.total_seconds() * 1000))

    @display(description="Rows checked")
    def rows_checked(self, check: LedgerCheck) -> str:
        return figures.commas(sum(one["checked"] for one in check.findings))

    # -- the page ----------------------------------------------------------------

    def health_view(self, request: HttpRequest) -> HttpResponse:
        """GET shows the last check; POST checks now."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._check_now(request)
        history = list(LedgerCheck.objects.all()[:HISTORY])
        last = history[0] if history else None
        return self.page(
            request,
            "admin/billing/ledgercheck/health.html",
            title="Ledger health",
            last=last,
            span=self.span(last) if last else "",
            age=_age(last),
            stale=last is not None and last.stale,
            findings=render_findings(last),
            history=[
                {"check": one, "span": self.span(one), "took": self.took(one)}
                for one in history
            ],
            may_check=request.user.has_perm(RIGHT),
            spans=SPANS,
        )

    def _check_now(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm(RIGHT):
            raise PermissionDenied
        days = request.POST.get("days")
        try:
            with limit_statements(PATIENCE_S):
                check = reconcile.run(
                    request.user.get_username(),
                    int(days) if days in SPANS else reconcile.DAYS,
                    timeout_s=PATIENCE_S,
                )
        except DatabaseError:
            messages.error(
                request,
                f"The check took longer than {PATIENCE_S} seconds and was stopped. "
                "Run `manage.py reconcile`, which waits longer.",
            )
        else:
            self.log_addition(request, check, "Checked the ledger.")
            show = messages.success if check.ok else messages.error
            bad = "The ledger does not balance: see below."
            show(request, "No drift." if check.ok else bad)
        return redirect("admin:billing_ledger_health")


def _age(check: LedgerCheck | None) -> str:
    if check is None:
        return ""
    if timezone.now() - check.finished_at < timedelta(minutes=1):
        return "just now"
    return f"{timesince(check.finished_at)} ago"


def render_findings(check: LedgerCheck | None) -> list[dict[str, Any]]:
    """The findings of a check with their rows for the template."""
    findings = reconcile.findings_of(check) if check else []
    names = _names(findings)
    return [
        {
            "finding": one,
            "rows": [_row(one, drift, names) for drift in one.rows],
            "more": one.drifted - len(one.rows),
        }
        for one in findings
    ]


def _names(findings: list[Finding]) -> dict[str, str]:
    rows = (row for one in findings for row in one.rows)
    return names_of({row.scope_id for row in rows if row.scope == CUSTOMER})


def _row(finding: Finding, drift: Drift, names: dict[str, str]) -> dict[str, Any]:
    unit = finding.invariant.unit
    return {
        "drift": drift,
        "kind": BY_LETTER[drift.scope].label,
        "whose": names.get(drift.scope_id, drift.scope_id),
        "expected": _amount(drift.expected, unit),
        "found": _amount(drift.found, unit),
        "off": _signed(drift.found - drift.expected, unit),
        "links": _links(finding.invariant.name, drift),
    }


def _amount(number: int, unit: str) -> str:
    if unit == "usd":
        # All six decimals: the drift may be that small.
        return f"{'−' if number < 0 else ''}${money.text(abs(number))}"
    return (
        f"{figures.commas(number)} s" if unit == "seconds" else figures.commas(number)
    )


def _signed(number: int, unit: str) -> str:
    return f"{'−' if number < 0 else '+'}{_amount(abs(number), unit)}"


def _links(name: str, drift: Drift) -> list[tuple[str, str]]:
    """(text, URL) of the rows behind a drift."""
    if drift.row:
        requests = reverse("admin:billing_usage_change", args=[drift.row])
        held = reverse("admin:billing_reservation_change", args=[drift.row])
        return {
            "ended_once": [("Request", requests), ("Reservation", held)],
            "overdue": [("Reservation", held)],
        }.get(name, [("Correction", requests)])
    scope = BY_LETTER[drift.scope]
    counter = urlencode({"key": f"{drift.scope}:{drift.scope_id}:{drift.day}"})
    links = [("Counter", f"{reverse('admin:billing_counter_changelist')}?{counter}")]
    if scope is BudgetScope.TAG:
        # Lists have no filter for one of several tags.
        return links
    if name != "reserved":
        url = reverse("admin:billing_usage_changelist")
        links.append(("Requests", f"{url}?{_query(scope.column, drift)}"))
    if name != "spent":
        column = "facts__model" if scope is BudgetScope.MODEL else scope.column
        url = reverse("admin:billing_reservation_changelist")
        links.append(("Reservations", f"{url}?{_query(column, drift)}"))
    return links


def _query(column: str, drift: Drift) -> str:
    of_scope = {column: drift.scope_id} if column else {}
    return urlencode({**of_scope, "day": drift.day})
