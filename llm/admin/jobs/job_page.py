"""Jobs in the admin: the list, the page of one, and the live page of the queue."""

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.dateparse import parse_datetime
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.models import Usage
from llm.admin.jobs import queue_page
from llm.admin.jobs.job_acts import (
    CANCEL,
    OPERATE,
    REPLAY,
    RETRY,
    JobCancelPage,
    RetryPage,
    fitting_pages,
    run_on_many,
)
from llm.admin.jobs.job_filters import (
    BatchFilter,
    JobTypeFilter,
    OwnerFilter,
    TagFilter,
)
from llm.admin.jobs.owned_page import OwnedAdmin
from llm.jobs.submission import open_body
from llm.jobs.worker.execution import read_result
from llm.models import Job, JobResult, JobState
from valuecanvas.core.admin.bases import display, fieldset
from valuecanvas.core.admin.columns import column, link
from valuecanvas.core.admin.pages import Page
from valuecanvas.core.crypto import UnreadableSecret
from valuecanvas.core.ids import uuid_or_none
from valuecanvas.core.templatetags import figures

VIEW_CONTENT = "llm.view_job_content"
UNREADABLE = "It cannot be decrypted: FIELD_KEY has changed."
# Characters of an input or answer that a page shows.
MOST_CONTENT = 200_000
MILLISECOND = dt.timedelta(milliseconds=1)


class ContentPage(Page):
    """The input and the answer of a job, which are the customer's own."""

    name = "content"
    needs = "view"
    right = VIEW_CONTENT
    recent_login = True

    def answer(self) -> HttpResponse:
        job: Job = self.original
        result = JobResult.objects.filter(job=job).first()
        # Whoever reads what customers wrote leaves a trace.
        self.admin.record(self.request, [job], "Read the input and the answer.")
        return self.show(
            "admin/llm/job/content.html",
            title="Input and answer",
            input=_readable(lambda: orjson.dumps(open_body(job))),
            answer=result and _readable(lambda: read_result(job, result.sealed)),
            status_code=result and result.status,
        )


def _readable(read: Any) -> str:
    """JSON, indented, or whatever it is as text; decrypted only for this."""
    try:
        plain: bytes = read()
    except UnreadableSecret:
        return UNREADABLE
    with suppress(orjson.JSONDecodeError):
        plain = orjson.dumps(orjson.loads(plain), option=orjson.OPT_INDENT_2)
    text = plain.decode(errors="replace")
    return text if len(text) <= MOST_CONTENT else f"{text[:MOST_CONTENT]}\n… shortened"


@admin.register(Job)
class JobAdmin(OwnedAdmin):
    list_display = (
        "created_at", "type", "user", "result", "attempts", "cost", "why", "finished_at",
    )  # fmt: skip
    list_defer = ("sealed", "history", "tags", "callback_url", "claim", "fingerprint")
    list_filter = (
        ("state", ChoicesDropdownFilter), JobTypeFilter, OwnerFilter, BatchFilter, TagFilter,
    )  # fmt: skip
    search_help_text = "The whole id of a job, a request or a customer, or a user id."
    actions = ("retry_selected", "cancel_selected", "replay_selected")
    pages = (RetryPage, JobCancelPage, ContentPage)
    fieldsets = (
        fieldset(None, ("id", "result"), ("type", "endpoint"), "why"),
        fieldset("Who", ("customer", "key"), ("of_batch", "of_recurring"), "tags_text"),
        fieldset(
            "When", ("created_at", "run_at"), ("started_at", "finished_at"), ("deadline", "on_limit")
        ),
        fieldset("Work", ("attempts", "progress"), ("priority", "model"), "cost", "callback_url"),
    )  # fmt: skip
    change_form_outer_after_template = "admin/llm/job/after.html"
    empty_text = (
        "A job is a call that is made later: submit one with POST /api/llm/jobs, or many at "
        "once as a batch."
    )

    def get_urls(self) -> list[URLPattern]:
        one = "queue/<path:job_type>"
        return [
            self.route("queue/", self.queue_view, "llm_queue"),
            self.route(f"{one}/pause/", self.pause_view, "llm_queue_pause"),
            self.route(f"{one}/resume/", self.resume_view, "llm_queue_resume"),
            *super().get_urls(),
        ]

    def queue_view(self, request: HttpRequest) -> HttpResponse:
        return queue_page.show(self, request)

    def pause_view(self, request: HttpRequest, job_type: str) -> HttpResponse:
        return queue_page.pause(self, request, job_type)

    def resume_view(self, request: HttpRequest, job_type: str) -> HttpResponse:
        return queue_page.resume(self, request, job_type)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(OPERATE))

    def condition(self, term: str) -> Q:
        """Also by the id of a request, whose row in the ledger names its job."""
        if request_id := uuid_or_none(term):
            rows = Usage.objects.filter(pk=request_id).values_list("job", flat=True)
            if job := uuid_or_none(rows.first() or ""):
                return Q(pk=job)
        return super().condition(term)

    def details(self, request: HttpRequest, row: Job) -> dict[str, Any]:
        return {
            "timeline": timeline(row),
            "acts": fitting_pages(request, row),
            "may_read": request.user.has_perm(VIEW_CONTENT),
        }

    @admin.action(description="Retry", permissions=["operate"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet) -> Any:
        return run_on_many(self, request, queryset, RETRY)

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet) -> Any:
        return run_on_many(self, request, queryset, CANCEL)

    @admin.action(description="Replay dead letters", permissions=["operate"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet) -> Any:
        return run_on_many(self, request, queryset, REPLAY)

    @display(description="Why")
    def why(self, job: Job) -> str:
        """What it waits for, or why it failed."""
        return ": ".join(filter(None, (job.error_code, job.error))) or "–"

    cost = column("Cost", "cost_usd", figures.usd)

    @display(description="Batch")
    def of_batch(self, job: Job) -> str:
        if job.batch_id is None:
            return "–"
        return link("llm_jobbatch", job.batch_id, f"line {job.line} {job.custom_id}")

    @display(description="Recurring job")
    def of_recurring(self, job: Job) -> str:
        found = job.recurring
        return link("llm_recurringjob", found.pk, found.name) if found else "–"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What happened to a job at some time; of an attempt more is known."""

    at: dt.datetime
    what: str
    took_ms: int | None = None
    request: str = ""
    cost: Decimal | None = None
    error: str = ""


def timeline(job: Job) -> list[TimelineEntry]:
    """What happened to a job, in order; attempts with their requests and what these cost."""
    ids = (uuid_or_none(str(one.get("request_id"))) for one in job.history)
    known = Usage.objects.filter(pk__in=[one for one in ids if one])
    rows = known.values_list("pk", "cost_usd")
    costs = {str(pk): cost for pk, cost in rows}
    found = [TimelineEntry(job.created_at, "Submitted")]
    if job.state == JobState.QUEUED:
        found.append(TimelineEntry(job.run_at, "Due"))
    found += [_attempt(job, one, costs) for one in job.history]
    if job.state == JobState.RUNNING and job.started_at:
        found.append(TimelineEntry(job.started_at, f"Attempt {job.attempts} began"))
    if job.finished_at:
        found.append(TimelineEntry(job.finished_at, job.get_state_display()))
    return sorted(found, key=lambda one: one.at)


def _attempt(
    job: Job, entry: Mapping[str, Any], costs: Mapping[str, Decimal]
) -> TimelineEntry:
    started, ended = (parse_datetime(str(entry.get(x))) for x in ("started", "ended"))
    request = str(entry.get("request_id") or "")
    return TimelineEntry(
        at=started or ended or job.created_at,
        what=f"Attempt {entry.get('attempt')}",
        took_ms=round((ended - started) / MILLISECOND) if started and ended else None,
        request=request,
        cost=costs.get(request),
        error=": ".join(filter(None, (entry.get("error_code"), entry.get("error")))),
    )
