"""The ledger in the admin: one row a request, with its failed attempts below."""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from billing.admin.customer_name import customer_link
from billing.auth import keys
from billing.models import ApiKey, Usage
from billing.models.customer import full_name
from llm.admin.failure import cause
from llm.admin.filters import ModelFilter, PromptFilter, ProviderFilter, TeamFilter
from llm.models import Attempt
from prompts.models import Prompt
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.filters import NamesFilter, TimeFilter
from valuecanvas.core.templatetags import figures

MOST_ATTEMPTS = 50
MARKS = {
    "estimated": "estimated: the provider told no usage",
    "unpriced": "unpriced: billed at a stand-in price",
    "mismatch": "mismatch: the provider's parts and total disagree; the larger was billed",
    "suspect": "suspect: the provider's usage was not believed",
    "capped": "capped: billed less, to stay within a budget",
    "reduced": "reduced: the database took the row only without a part of it",
    "refunded": "refunded: no unit of quota was taken, or it was given back",
}


class OutcomeFilter(NamesFilter):
    title = "outcome"
    parameter_name = "outcome"

    def names(self) -> list[tuple[str, str]]:
        return [
            ("ok", "Answered"),
            ("failed", "Not answered"),
            ("correction", "Corrections"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return {
            "ok": queryset.filter(status="ok"),
            "failed": queryset.exclude(status__in=("ok", "correction")),
            "correction": queryset.filter(status="correction"),
        }.get(self.value(), queryset)


class CachedFilter(NamesFilter):
    title = "cache"
    parameter_name = "cached"

    def names(self) -> list[tuple[str, str]]:
        return [("1", "From the cache"), ("0", "From a provider")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        return queryset.filter(cached=value == "1") if value else queryset


@admin.register(Usage)
class UsageAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = (
        "created_at",
        "user",
        "model",
        "served_by",
        "tokens",
        "cost",
        "took",
        "outcome",
    )
    list_defer = (
        "flags",
        "marks",
        "trace_id",
        "job",
        "variant",
        "prompt_key",
        "source",
    )
    list_filter = (
        ("created_at", TimeFilter),
        ModelFilter,
        ProviderFilter,
        OutcomeFilter,
        CachedFilter,
        PromptFilter,
        TeamFilter,
    )
    search_fields = ("user_id",)  # see get_search_results
    search_help_text = "The whole id of a request or user, a label sent as 'user', or the prefix of a key."
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": (("id", "created_at"), ("outcome_text", "marks_text"))}),
        ("Who", {"fields": (("user_id", "team"), ("customer", "key"), "end_user")}),
        (
            "Where",
            {
                "fields": (
                    ("model", "endpoint"),
                    ("provider", "upstream_model"),
                    "attempts",
                )
            },
        ),
        (
            "Tokens and money",
            {
                "fields": (
                    ("prompt_tokens", "completion_tokens"),
                    ("cached_tokens", "cache_write_tokens", "cached"),
                    ("cost", "provider_cost"),
                    ("source", "corrections"),
                )
            },
        ),
        ("Timing", {"fields": (("took", "first_token"),)}),
        (
            "Prompt, flags and trace",
            {
                "fields": (
                    ("prompt", "prompt_version"),
                    ("variant", "flags"),
                    ("job", "epoch"),
                    ("trace_id", "day"),
                )
            },
        ),
    )
    readonly_fields = (
        "customer",
        "outcome_text",
        "marks_text",
        "cost",
        "provider_cost",
        "corrections",
        "took",
        "first_token",
        "prompt",
    )
    change_form_outer_before_template = "admin/billing/usage/cause.html"
    change_form_outer_after_template = "admin/billing/usage/attempts.html"
    empty_text = (
        "Every request that clients send is listed here. Send a first one from the "
        "Playground, or with an API key and any OpenAI client."
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        return (queryset.filter(_matching(term)) if term else queryset), False

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        found: list[Attempt] = []
        usage = self.get_object(request, object_id) if _uuid(object_id) else None
        if usage is not None:
            rows = Attempt.objects.filter(request_id=object_id).order_by("number")
            found = list(rows[:MOST_ATTEMPTS])
        context = {
            **(extra_context or {}),
            "attempts": found,
            "cause": cause(usage, found) if usage else "",
            "corrects": usage is not None and usage.corrects,
        }
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]

    @display(description="User")
    def user(self, usage: Usage) -> str:
        return full_name(usage.user_id, usage.team)

    @display(description="Customer")
    def customer(self, usage: Usage) -> str:
        return customer_link(usage.customer_id, self.user(usage))

    @display(description="Served by", ordering="provider")
    def served_by(self, usage: Usage) -> str:
        return "cache" if usage.cached else usage.provider or "–"

    @display(description="Tokens in / out")
    def tokens(self, usage: Usage) -> str:
        spent = figures.grouped(usage.prompt_tokens)
        return f"{spent} / {figures.grouped(usage.completion_tokens)}"

    @display(description="Cost", ordering="cost_usd")
    def cost(self, usage: Usage) -> str:
        return figures.usd(usage.cost_usd)

    @display(description="Cost to us")
    def provider_cost(self, usage: Usage) -> str:
        return figures.usd(usage.provider_cost_usd)

    @display(description="Corrections")
    def corrections(self, usage: Usage) -> str:
        """The request that this row corrects, or the row that corrects this request."""
        other = usage.corrects
        text = "corrects the request"
        if other is None:
            rows = Usage.objects.filter(corrects=usage.pk)
            other, text = rows.values_list("pk", flat=True).first(), "corrected by"
        if other is None:
            return "none"
        url = reverse("admin:billing_usage_change", args=[other])
        return format_html('{} <a class="vc-link" href="{}">{}</a>', text, url, other)

    @display(description="Took", ordering="latency_ms")
    def took(self, usage: Usage) -> str:
        return figures.duration(usage.latency_ms)

    @display(description="First token after")
    def first_token(self, usage: Usage) -> str:
        return figures.duration(usage.ttft_ms)

    @display(
        description="Outcome",
        label={"ok": "success", "failed": "danger", "correction": "info"},
    )
    def outcome(self, usage: Usage) -> tuple[str, str]:
        if usage.status in ("ok", "correction"):
            return usage.status, usage.status
        return "failed", (usage.error_code or usage.status).replace("_", " ")

    @display(description="Prompt")
    def prompt(self, usage: Usage) -> str:
        key = usage.prompt_key
        found = Prompt.objects.filter(key=key).first() if key else None
        if found is None:
            return key or "none"
        url = reverse("admin:prompts_prompt_change", args=[found.pk])
        return format_html('<a class="vc-link" href="{}">{}</a>', url, key)

    @display(description="Outcome")
    def outcome_text(self, usage: Usage) -> str:
        return (
            f"{usage.status}: {usage.error_code}" if usage.error_code else usage.status
        )

    @display(description="Marks")
    def marks_text(self, usage: Usage) -> str:
        return ", ".join(MARKS.get(mark, mark) for mark in usage.marks) or "none"


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _matching(term: str) -> Q:
    """One indexed column: with several, PostgreSQL may walk the whole table."""
    request_id = _uuid(term)
    if request_id and Usage.objects.filter(pk=request_id).exists():
        return Q(pk=request_id)
    prefix = keys.parse(term) or term.removeprefix("vc-").rstrip("-…")
    if ApiKey.objects.filter(pk=prefix).exists():
        return Q(key=prefix)
    if Usage.objects.filter(user_id=term).exists():
        return Q(user_id=term)
    return Q(end_user=term)
