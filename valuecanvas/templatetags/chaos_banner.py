"""The banner on every page of the admin while an experiment or a drill runs."""

from typing import Any

from django import template
from django.conf import settings
from django.utils import timezone

from llm.models.chaos import ACTIVE, ChaosRun

register = template.Library()
MOST_RUNS = 5


@register.inclusion_tag("admin/llm/chaos/banner.html", takes_context=True)
def chaos_banner(context: template.Context) -> dict[str, Any]:
    """What runs, for all staff; the button is for those who may stop it."""
    request: Any = context.get("request")
    user = getattr(request, "user", None)
    if not (settings.CHAOS_ENABLED and user and user.is_active and user.is_staff):
        return {}
    running = ChaosRun.objects.filter(state__in=ACTIVE).select_related("started_by")
    fields = ("name", "is_drill", "state", "ends_at", "started_by__username")
    now = timezone.now()
    runs = list(running.only(*fields)[:MOST_RUNS])
    for run in runs:
        vars(run)["seconds_left"] = max(0, int((run.ends_at - now).total_seconds()))
    return {
        "on": True,
        "runs": runs,
        "may_stop": user.has_perm("llm.stop_chaosrun"),
        "may_view": user.has_perm("llm.view_chaosrun"),
        "back": request.get_full_path() if request.method == "GET" else "",
        "ends_s": settings.CHAOS_LEASE_S,
        "csrf_token": context.get("csrf_token"),
    }
