"""Runs of experiments and drills: what happened, and how they are stopped."""

import json
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from llm.admin.chaos import drill_page
from llm.admin.chaos.run_charts import run_charts
from llm.admin.chaos.sentence import describe_plan
from llm.admin.chaos.switched import ChaosAdmin
from llm.chaos import chaos_runs, run_report
from llm.models.chaos import ACTIVE, ChaosRun
from valuecanvas.core.admin import charts
from valuecanvas.core.admin.bases import (
    NO_STORE,
    LargeTableAdmin,
    ReadOnlyAdmin,
    display,
)
from valuecanvas.core.admin.filters import TimeFilter
from valuecanvas.core.admin.pages import Page, post_only, refuse_unless
from valuecanvas.core.audit.record import record
from valuecanvas.core.transfer import downloads

STOP = "llm.stop_chaosrun"
REFRESH_S = 2
# The columns of the samples as CSV.
SAMPLE = ("at", "phase", "requests", "errors", "p95_ms", "cost_usd", "injected")
STATES = {
    "Checking the steady state": "info",
    "Running": "danger",
    "Watching the recovery": "warning",
    "Completed": "success",
    "Aborted by its limits": "danger",
    "Lost": "danger",
}
VERDICTS = {"Passed": "success", "Failed": "danger"}


def _stopped_text(count: int) -> str:
    stopped = "Nothing was running." if not count else f"Stopped {count}."
    return (
        f"{stopped} Faults end within seconds: {settings.CHAOS_LEASE_S} at most, also in "
        "a process that cannot reach the database."
    )


def stop_all(request: HttpRequest) -> HttpResponse:
    """Stop all that runs, at one click; the person stays on the page that has the button."""
    refuse_unless(request, STOP)
    count = chaos_runs.stop_all(by=request.user, reason="The button Stop all")
    messages.success(request, _stopped_text(count))
    back = request.POST.get("back", "")
    ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())  # fmt: skip
    return redirect(back if ours else reverse("admin:index"))


class StopRunPage(Page):
    name = "stop"
    needs = "view"
    right = STOP
    post_only = True

    def answer(self) -> HttpResponse:
        chaos_runs.stop(self.original, by=self.request.user, reason="The button Stop")
        messages.success(self.request, _stopped_text(1))
        return redirect(self.back_url())


class ReportPage(Page):
    """The report as a file: JSON, Markdown, or its samples as CSV."""

    name = "report"
    url = "report/<str:kind>/"
    needs = "view"

    def __init__(self, *args: Any, kind: str) -> None:
        super().__init__(*args)
        self.kind = kind

    def answer(self) -> HttpResponse:
        run: ChaosRun = self.original
        name = f"chaos-{run.started_at:%Y%m%dT%H%M%S}-{str(run.pk)[-8:]}.{self.kind}"
        if self.kind == "csv":
            rows = [SAMPLE, *([one.get(k, "") for k in SAMPLE] for one in run.samples)]
            return _file(name, downloads.csv_lines(rows), "text/csv; charset=utf-8")
        if self.kind == "json":
            text = json.dumps(run_report.write_json(run), indent=2)
            return _file(name, text, "application/json")
        if self.kind == "md":
            return _file(
                name, run_report.write_markdown(run), "text/markdown; charset=utf-8"
            )
        raise Http404


def _file(name: str, text: str | bytes, content_type: str) -> HttpResponse:
    record("data.exported", label=name)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": NO_STORE,
    }
    return HttpResponse(text, content_type, headers=headers)


@admin.register(ChaosRun)
class ChaosRunAdmin(ReadOnlyAdmin, LargeTableAdmin, ChaosAdmin):
    pages = (StopRunPage, ReportPage)
    list_display = (
        "name",
        "kind",
        "state_text",
        "verdict_text",
        "started_at",
        "ended_at",
        "injected",
        "started_by",
    )
    list_select_related = ("started_by",)
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("verdict", ChoicesDropdownFilter),
        "is_drill",
        ("started_at", TimeFilter),
    )
    list_defer = ("samples", "findings", "plan")
    search_fields = ("name",)
    ordering = ("-started_at",)
    empty_text = (
        "Nothing has been injected so far. Start an experiment, or run a drill: each "
        "leaves its report here."
    )

    def own_urls(self) -> list[URLPattern]:
        stop = post_only(stop_all, "index")
        return [
            self.route("stop-all/", stop, "llm_chaos_stop_all"),
            self.route("drills/", self.drills_view, "llm_chaos_drills"),
            self.route("drills/<slug:drill>/", self.drill_view, "llm_chaos_drill"),
        ]

    def drills_view(self, request: HttpRequest) -> HttpResponse:
        return drill_page.show(self, request)

    def drill_view(self, request: HttpRequest, drill: str) -> HttpResponse:
        return drill_page.ask(self, request, drill)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        run: ChaosRun = self.find_object(request, object_id, "view")
        if request.method == "POST":
            raise PermissionDenied
        left = (run.ends_at - timezone.now()).total_seconds()
        return self.page(
            request,
            "admin/llm/chaos/run.html",
            title=str(run.name),
            original=run,
            run=run,
            state_type=STATES.get(run.get_state_display(), "default"),
            verdict_type=VERDICTS.get(run.get_verdict_display(), "default"),
            what=describe_plan(run.plan),
            active=run.state in ACTIVE,
            seconds_left=max(0, int(left)),
            ends_s=settings.CHAOS_LEASE_S,
            refresh_s=REFRESH_S,
            charts=run_charts(run.samples),
            chart_options=charts.STACKED_OPTIONS,
            may_stop=request.user.has_perm(STOP),
        )

    @display(description="Kind", ordering="is_drill")
    def kind(self, run: ChaosRun) -> str:
        return "Drill" if run.is_drill else "Experiment"

    @display(description="State", ordering="state", label=STATES)
    def state_text(self, run: ChaosRun) -> str:
        return str(run.get_state_display())

    @display(description="Verdict", ordering="verdict", label=VERDICTS)
    def verdict_text(self, run: ChaosRun) -> str:
        return run.get_verdict_display() or "–"
