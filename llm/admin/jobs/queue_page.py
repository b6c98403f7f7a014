"""The live page of the queue, and the pauses of types."""

import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timesince import timesince

from llm.jobs import actions
from llm.jobs.metrics import (
    MINUTE,
    MOST_MINUTES,
    QueueFigures,
    first_minute,
    queue_figures,
)
from llm.jobs.types import JOB_TYPES
from llm.models import JobPause, JobState
from valuecanvas.core.admin import charts
from valuecanvas.core.admin.pages import ReasonForm, attempt, refuse_unless

PAUSE = "llm.pause_jobs"
QUEUE = "admin:llm_queue"
REFRESH_S = 5
# From the bottom of the chart up.
ENDS = (JobState.SUCCEEDED, JobState.FAILED, JobState.DEAD, JobState.CANCELLED)


def show(admin: Any, request: HttpRequest) -> HttpResponse:
    """The page, which asks for itself again every few seconds."""
    refuse_unless(request, "llm.view_job")
    started = time.monotonic()
    found = queue_figures()
    took = time.monotonic() - started
    answer: HttpResponse = admin.page(
        request,
        "admin/llm/job/queue.html",
        title="Queue",
        figures=found,
        cards=_cards(found),
        chart=_chart(found),
        types=_types(found),
        # So that the page does not add load to a busy database.
        refresh_s=max(REFRESH_S, math.ceil(20 * took)),
        may_pause=request.user.has_perm(PAUSE),
    )
    return answer


def pause(admin: Any, request: HttpRequest, job_type: str) -> HttpResponse:
    """Ask why, and start no more jobs of a type."""
    if job_type not in JOB_TYPES:
        raise Http404
    by = request.user.get_username()
    return _ask(
        admin,
        request,
        job_type,
        label="Pause",
        text="No more jobs of this type start. Those that run go on, and new ones can be submitted.",
        act=lambda reason: actions.pause(job_type, by=by, reason=reason),
    )


def resume(admin: Any, request: HttpRequest, job_type: str) -> HttpResponse:
    """Ask why, and start jobs of a type again."""
    return _ask(
        admin,
        request,
        job_type,
        label="Resume",
        text="Jobs of this type start again, the oldest first.",
        act=lambda reason: actions.resume(job_type),
    )


def _ask(
    admin: Any,
    request: HttpRequest,
    job_type: str,
    *,
    label: str,
    text: str,
    act: Callable[[str], None],
) -> HttpResponse:
    refuse_unless(request, PAUSE)
    form = ReasonForm(request.POST if request.method == "POST" else None)

    def run() -> str:
        act(form.cleaned_data["reason"])
        return f"{label}d: {job_type}."

    outcome = attempt(form, run)
    if outcome.message:
        reason = f"{outcome.message} {form.cleaned_data['reason']}"
        admin.record(request, [JobPause(type=job_type)], reason)
        messages.success(request, outcome.message)
        return redirect(QUEUE)
    answer: HttpResponse = admin.page(
        request,
        "admin/confirm.html",
        title=f"{label} {job_type}",
        text=text,
        verb=label,
        form=form,
        back=reverse(QUEUE),
        status=422 if form.is_bound else 200,
    )
    return answer


def _cards(found: QueueFigures) -> list[dict[str, str]]:
    def card(title: str, value: str, note: str) -> dict[str, str]:
        return {"title": title, "value": value, "note": note}

    slots = sum(one.slots for one in found.workers)
    per_minute = f"{found.per_minute(60):,g} over the last hour"
    queued = f"{found.retries:,} after a failed attempt, {found.waiting:,} for a limit"
    return [
        card("Queued", f"{found.count(JobState.QUEUED):,}", queued),
        card("Running", f"{found.count(JobState.RUNNING):,}", f"of {slots:,} at once"),
        card("Oldest", _age(found), "since it was due; paused types do not count"),
        card("Ended a minute", f"{found.per_minute(5):,g}", per_minute),
        card("Dead letters", f"{found.dead:,}", "each of their attempts failed"),
    ]


def _age(found: QueueFigures) -> str:
    seconds = round(found.oldest_seconds)
    if seconds < 60:
        return f"{seconds}\u00a0s"
    return timesince(found.at - timedelta(seconds=seconds), found.at)


def _chart(found: QueueFigures) -> charts.Chart:
    """The jobs that ended in each minute of the last hour."""
    first = first_minute(found.at, MOST_MINUTES)
    return charts.stack(
        ((one.minute, JobState(one.state).label, one.count) for one in found.ended),
        [first + number * MINUTE for number in range(MOST_MINUTES)],
        title="{name}: {count:,}",
        rest="others",
        order=[state.label for state in ENDS],
    )


def _types(found: QueueFigures) -> list[dict[str, Any]]:
    """The registered types and those that still have jobs."""
    counts = {(one.type, one.state): one.count for one in found.depth}
    paused = {one.type: one for one in found.paused}
    names = {*JOB_TYPES, *paused, *(name for name, _ in counts)}
    return [
        {
            "name": name,
            "known": name in JOB_TYPES,
            "pause": paused.get(name),
            **{
                state.value: counts.get((name, state.value), 0)
                for state in (JobState.QUEUED, JobState.RUNNING, JobState.DEAD)
            },
        }
        for name in sorted(names)
    ]
