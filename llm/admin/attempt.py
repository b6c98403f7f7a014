"""Failed attempts in the admin."""

from django.contrib import admin

from llm.admin.filters import ProviderFilter
from llm.models import Attempt
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.columns import column, link
from valuecanvas.core.admin.filters import TimeFilter
from valuecanvas.core.templatetags import figures


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = (
        "created_at",
        "provider",
        "upstream_model",
        "outcome",
        "status",
        "error",
        "took",
        "of_request",
    )
    list_filter = (("created_at", TimeFilter), ProviderFilter)
    search_fields = ("=request_id",)
    search_help_text = "The whole id of a request."
    ordering = ("-created_at", "-id")
    fields = (
        "of_request",
        "number",
        "provider",
        "upstream_model",
        "outcome",
        "status",
        "error",
        "injected_by",
        "took",
        "cost",
        "created_at",
    )
    empty_text = (
        "An attempt is listed when a provider failed, throttled or refused a request, "
        "whether or not another one then answered it."
    )

    took = column("Took", "latency_ms", figures.duration, ordering="latency_ms")
    cost = column("Provider cost", "provider_cost_usd", figures.usd)

    @display(description="Request")
    def of_request(self, attempt: Attempt) -> str:
        text = f"#{attempt.number} of …{str(attempt.request_id)[-8:]}"
        return link("billing_usage", attempt.request_id, text)
