"""Drills: what each does, how it ended last, and a button to run it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from kombu.exceptions import OperationalError

from llm.chaos import chaos_runs, chaos_windows
from llm.chaos.drills import DRILLS, prepare_drill
from llm.models.chaos import ChaosRun
from llm.tasks import rehearse
from valuecanvas.core.access.recent_login import require_recent_login
from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.core.admin.pages import refuse_unless

LIST = "admin:llm_chaos_drills"


def show(admin: Any, request: HttpRequest) -> HttpResponse:
    """The list of drills."""
    refuse_unless(request, "llm.view_chaosrun")
    newest = ChaosRun.objects.filter(is_drill=True, name__in=list(DRILLS))
    newest = newest.order_by("name", "-started_at").distinct("name")
    last = {run.name: run for run in newest.defer("plan", "samples", "findings")}
    answer: HttpResponse = admin.page(
        request,
        "admin/llm/chaos/drills.html",
        title="Drills",
        drills=[{"drill": one, "last": last.get(name)} for name, one in DRILLS.items()],
        forbidden=chaos_windows.why_forbidden(),
        may_run=request.user.is_superuser,
    )
    return answer


def ask(admin: Any, request: HttpRequest, name: str) -> HttpResponse:
    """Ask before a drill, then run it."""
    if name not in DRILLS:
        raise Http404
    if not request.user.is_superuser:
        raise PermissionDenied
    require_recent_login(request)
    drill = DRILLS[name]
    form = ConsoleForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        by = request.user.get_username()
        try:
            prepare_drill(name, by=request.user)
            # A worker runs it: it takes minutes.
            rehearse.delay(name, by)
        except (chaos_runs.RunRefused, OperationalError) as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(
                request, f"{drill.title}: a worker begins it within seconds."
            )
            return redirect(LIST)
    answer: HttpResponse = admin.page(
        request,
        "admin/llm/chaos/drill.html",
        title=f"Run the drill: {drill.title}",
        drill=drill,
        verb="Run it",
        form=form,
        forbidden=chaos_windows.why_forbidden(),
        back=reverse(LIST),
        status=422 if form.is_bound else 200,
    )
    return answer
