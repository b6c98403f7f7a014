"""The page of a refused request: why, with the limits that were looked at."""

from typing import Any

from django.contrib import admin
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime

from billing.admin.customer_name import customer_link
from billing.models import Refusal, RefusalCount
from billing.models.customer import full_name
from llm.admin.refusal_reason import NIL, amount, explain, limit_title, links
from llm.admin.trace import trace_link
from valuecanvas.core.admin.bases import (
    LargeTableAdmin,
    ReadOnlyAdmin,
    display,
    fieldset,
)
from valuecanvas.core.admin.filters import TimeFilter
from valuecanvas.core.ids import uuid_or_none


@admin.register(Refusal)
class RefusalAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("created_at", "user", "model", "step", "status", "code")
    list_filter = (("created_at", TimeFilter),)
    list_defer = ("limits", "message")
    ordering = ("-created_at", "-id")
    fieldsets = (
        fieldset(None, ("id", "created_at"), ("status", "code"), ("step", "param")),
        fieldset("What the caller was told", "message"),
        fieldset("Who", ("user_id", "team"), ("customer", "key")),
        fieldset("Where", ("model", "endpoint"), ("epoch", "trace"), "job"),
    )
    change_form_outer_before_template = "admin/billing/refusal/why.html"
    change_form_outer_after_template = "admin/billing/refusal/limits.html"
    empty_text = "A request is listed when the gateway refused it: see Requests."

    @display(description="User")
    def user(self, refusal: Refusal) -> str:
        return full_name(refusal.user_id, refusal.team) or "–"

    @display(description="Trace")
    def trace(self, refusal: Refusal) -> str:
        failed = refusal.status >= 500
        return trace_link(refusal.trace_id, refusal.pk, failed=failed)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        known = uuid_or_none(object_id)
        refusal = self.get_object(request, object_id) if known else None
        context = {**(extra_context or {}), **(_context(refusal) if refusal else {})}
        answer: HttpResponse = super().change_view(
            request, object_id, form_url, context
        )
        return answer

    @display(description="Customer")
    def customer(self, refusal: Refusal) -> str:
        if refusal.customer_id is None:
            return "unknown"
        name = full_name(refusal.user_id, refusal.team)
        return customer_link(refusal.customer_id, name)


def _context(refusal: Refusal) -> dict[str, Any]:
    return {
        "why": explain(refusal),
        "links": links(refusal),
        "limits": [_limit_row(one) for one in refusal.limits],
        "more": _counted(refusal),
    }


def _limit_row(limit: dict[str, Any]) -> dict[str, Any]:
    amounts = {part: amount(limit, part) for part in ("used", "held", "limit")}
    resets_at = limit["resets_at"]
    return {
        **amounts,
        "title": limit_title(limit),
        "refused": limit["refused"],
        "resets_at": parse_datetime(resets_at) if resets_at else None,
    }


def _counted(refusal: Refusal) -> int:
    """How many more of this minute, caller and reason were counted only."""
    rows = RefusalCount.objects.filter(
        minute=refusal.created_at.replace(second=0, microsecond=0),
        customer_id=refusal.customer_id or NIL,
        key=refusal.key,
        code=refusal.code,
    )
    return rows.aggregate(Sum("count"))["count__sum"] or 0
