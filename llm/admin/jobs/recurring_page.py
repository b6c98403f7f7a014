"""Recurring jobs in the admin: what is submitted, for whom and when; and its last jobs."""

from typing import Any

import orjson
from django.contrib import admin, messages
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from llm.admin.jobs.owned_page import STATES
from llm.admin.jobs.recurring_form import RecurringForm
from llm.jobs.recurring import submit_now
from llm.models import Job, RecurringJob
from valuecanvas.core.admin.bases import Admin, display, fieldset
from valuecanvas.core.admin.form_results import ONCE
from valuecanvas.core.admin.pages import Page
from valuecanvas.core.db.periodic_work import find_crontab
from valuecanvas.core.errors import GatewayError

LAST_JOBS = 10


class RunPage(Page):
    """Submits its job now; the same form sent again submits nothing more."""

    name = "run"
    post_only = True

    def answer(self) -> HttpResponse:
        row: RecurringJob = self.original
        token = self.request.POST.get(ONCE, "")
        try:
            job = submit_now(row, f"run:{row.pk}:{token}" if token else None)
        except GatewayError as error:
            messages.error(self.request, f"Not submitted. {error.message}")
        else:
            self.admin.record(self.request, [row], f"Run now: job {job.pk}.")
            messages.success(self.request, "Submitted. Its job is the first one below.")
        return redirect(self.back_url())


@admin.register(RecurringJob)
class RecurringJobAdmin(Admin):
    form = RecurringForm
    list_display = (
        "name",
        "customer",
        "type",
        "when",
        "enabled",
        "last_state",
        "last_at",
    )
    list_select_related = ("customer", "crontab")
    list_filter = ("enabled",)
    list_defer = ("input",)
    search_fields = ("name", "=customer__user_id")
    autocomplete_fields = ("customer",)
    pages = (RunPage,)
    # Each is deleted with its periodic task.
    delete_many = False
    fieldsets = (
        fieldset(None, "name", "customer", "type", "enabled"),
        fieldset("Input", "prompt_key", ("prompt_version", "prompt_label"), "model", "variables", "body"),
        fieldset("When", ("schedule", "timezone")),
        fieldset("More", "tags", "callback_url", classes=("collapse",)),
    )  # fmt: skip
    # For those who may only look.
    shown_fieldsets = (
        fieldset(None, "name", "customer", "type", "enabled"),
        fieldset("Input", "input_text"),
        fieldset("When", "when"),
        fieldset("More", "tags", "callback_url"),
    )
    change_form_outer_after_template = "admin/llm/recurringjob/after.html"
    empty_text = (
        "A recurring job submits a job for a customer by a schedule: every Monday, or every "
        "hour."
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        editable = obj is None or self.has_change_permission(request, obj)
        return self.fieldsets if editable else self.shown_fieldsets

    def save_model(
        self, request: HttpRequest, obj: RecurringJob, form: Any, change: bool
    ) -> None:
        data = form.cleaned_data
        obj.crontab = find_crontab(data["schedule"], str(data["timezone"]))
        obj.error = ""
        super().save_model(request, obj, form, change)

    def details(self, request: HttpRequest, row: RecurringJob) -> dict[str, Any]:
        jobs = row.jobs.defer("sealed", "history").order_by("-pk")[:LAST_JOBS]
        return {"jobs": jobs, "error": row.error, "when": self.when(row)}

    def attach(self, rows: list[Any]) -> None:
        newest = Job.objects.filter(recurring=OuterRef("pk")).order_by("-pk")
        found = RecurringJob.objects.filter(pk__in=[row.pk for row in rows])
        last = found.annotate(last=Subquery(newest.values("pk")[:1])).values("last")
        jobs = {
            job.recurring_id: job
            for job in Job.objects.filter(pk__in=last).defer("sealed", "history")
        }
        for row in rows:
            row.last_job = jobs.get(row.pk)

    @display(description="When")
    def when(self, row: RecurringJob) -> str:
        return str(row.crontab.human_readable)

    @display(description="Input")
    def input_text(self, row: RecurringJob) -> str:
        return orjson.dumps(row.input, option=orjson.OPT_INDENT_2).decode()

    @display(description="Last job", label=STATES)
    def last_state(self, row: Any) -> str:
        if row.error:
            return "refused"
        return row.last_job.get_state_display() if row.last_job else "none"

    @display(description="Submitted")
    def last_at(self, row: Any) -> Any:
        return row.last_job.created_at if row.last_job else None
