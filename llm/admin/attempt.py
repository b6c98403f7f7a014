"""Failed attempts in the admin."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from llm.admin.filters import ProviderFilter
from llm.models import Attempt
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
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
        "took",
        "cost",
        "created_at",
    )
    readonly_fields = ("of_request", "took", "cost")
    empty_text = (
        "An attempt is listed when a provider failed, throttled or refused a request, "
        "whether or not another one then answered it."
    )

    @display(description="Took", ordering="latency_ms")
    def took(self, attempt: Attempt) -> str:
        return figures.duration(attempt.latency_ms)

    @display(description="Cost us")
    def cost(self, attempt: Attempt) -> str:
        return figures.usd(attempt.provider_cost_usd)

    @display(description="Request")
    def of_request(self, attempt: Attempt) -> str:
        url = reverse("admin:billing_usage_change", args=[attempt.request_id])
        return format_html(
            '<a class="vc-link" href="{}">#{} of …{}</a>',
            url,
            attempt.number,
            str(attempt.request_id)[-8:],
        )
