"""The Status page of the admin."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from valuecanvas.core.admin.pages import refuse_unless
from valuecanvas.status.status_report import KEPT
from valuecanvas.status.types import HealthState

RIGHT = "core.view_status"
LABELS = {
    HealthState.OK: "success",
    HealthState.WARNING: "warning",
    HealthState.FAILING: "danger",
    HealthState.UNKNOWN: "default",
}


def show(request: HttpRequest) -> HttpResponse:
    """The rows of all checks, as of some seconds ago at most."""
    refuse_unless(request, RIGHT)
    rows = [
        {
            "title": one.check.title,
            "finding": one.finding,
            "label": LABELS[one.finding.state],
            "link": reverse(f"admin:{one.check.page}") if one.check.page else "",
        }
        for one in KEPT.read()
    ]
    failing = [one["title"] for one in rows if one["label"] == "danger"]
    frame = {
        **admin.site.each_context(request),
        "title": "Status",
        "rows": rows,
        "failing": failing,
        "at": timezone.now(),
    }
    return TemplateResponse(request, "admin/status.html", frame)
