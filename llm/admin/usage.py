"""Requests in the admin: one row of the ledger each, with the failed attempts."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from billing.admin.customer_name import customer_link
from billing.auth import keys
from billing.models import ApiKey, Usage
from billing.models.customer import full_name
from llm.admin.failure import cause
from llm.admin.filters import ModelFilter, PromptFilter, ProviderFilter, TeamFilter
from llm.admin.trace import trace_link
from llm.models import Attempt
from llm.settlement.explanation import explain_usage
from prompts.models import Prompt
from valuecanvas.core.admin.bases import (
    ExactSearchAdmin,
    LargeTableAdmin,
    ReadOnlyAdmin,
    display,
    fieldset,
)
from valuecanvas.core.admin.columns import column, link
from valuecanvas.core.admin.filters import ConditionFilter, TimeFilter
from valuecanvas.core.ids import uuid_or_none
from valuecanvas.core.templatetags import figures

MOST_ATTEMPTS = 50
MARKS = {
    "estimated": "estimated: the provider reported no usage",
    "unpriced": "unpriced: billed at a stand-in price",
    "mismatch": "mismatch: the provider's parts and total disagree; the larger was billed",
    "suspect": "suspect: the provider's usage is not plausible",
    "capped": "capped: billed less, to stay within a budget",
    "reduced": "reduced: the database accepted the row only without a part of it",
    "refunded": "refunded: no unit of quota was taken, or it was given back",
    "coalesced": "coalesced: the answer of an identical request under way",
}


class OutcomeFilter(ConditionFilter):
    title = "outcome"
    parameter_name = "outcome"

    def conditions(self) -> list[tuple[str, str, Q]]:
        return [
            ("ok", "Answered", Q(status="ok")),
            ("failed", "Not answered", ~Q(status__in=("ok", "correction"))),
            ("correction", "Corrections", Q(status="correction")),
        ]


class CachedFilter(ConditionFilter):
    title = "cache"
    parameter_name = "cached"

    def conditions(self) -> list[tuple[str, str, Q]]:
        return [
            ("1", "From the cache", Q(cached=True)),
            ("0", "From a provider", Q(cached=False)),
        ]


@admin.register(Usage)
class UsageAdmin(ReadOnlyAdmin, LargeTableAdmin, ExactSearchAdmin):
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
    search_help_text = "The whole id of a request or user, a label sent as 'user', or the prefix of a key."
    ordering = ("-created_at", "-id")
    fieldsets = (
        fieldset(None, ("id", "created_at"), ("outcome_text", "marks_text")),
        fieldset("Who", ("user_id", "team"), ("customer", "key"), "end_user"),
        fieldset(
            "Where", ("model", "endpoint"), ("provider", "upstream_model"), "attempts"
        ),
        fieldset(
            "Tokens and money",
            ("prompt_tokens", "completion_tokens"),
            ("cached_tokens", "cache_write_tokens", "cached"),
            ("cost", "provider_cost"),
            ("source", "corrections"),
        ),
        fieldset("Timing", ("took", "first_token")),
        fieldset(
            "Prompt, flags and trace",
            ("prompt", "prompt_version"),
            ("variant", "flags"),
            ("job", "epoch"),
            ("trace", "day"),
        ),
    )
    change_form_outer_before_template = "admin/billing/usage/cause.html"
    change_form_outer_after_template = "admin/billing/usage/attempts.html"
    empty_text = (
        "Every request of a client is listed here. Send a first one from the "
        "Playground, or with an API key and any OpenAI client."
    )

    def condition(self, term: str) -> Q:
        """Search one indexed column: with several, PostgreSQL may scan the whole table."""
        request_id = uuid_or_none(term)
        if request_id and Usage.objects.filter(pk=request_id).exists():
            return Q(pk=request_id)
        prefix = keys.parse(term) or term.removeprefix("vc-").rstrip("-…")
        if ApiKey.objects.filter(pk=prefix).exists():
            return Q(key=prefix)
        if Usage.objects.filter(user_id=term).exists():
            return Q(user_id=term)
        return Q(end_user=term)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        found: list[Attempt] = []
        usage = self.get_object(request, object_id) if uuid_or_none(object_id) else None
        if usage is not None:
            rows = Attempt.objects.filter(request_id=object_id).order_by("number")
            found = list(rows[:MOST_ATTEMPTS])
        context = {
            **(extra_context or {}),
            "attempts": found,
            "cause": cause(usage, found) if usage else "",
            "explanation": _explain(usage, found) if usage else "",
            "corrects": usage is not None and usage.corrects,
        }
        answer: HttpResponse = super().change_view(
            request, object_id, form_url, context
        )
        return answer

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
        spent = figures.commas(usage.prompt_tokens)
        return f"{spent} / {figures.commas(usage.completion_tokens)}"

    cost = column("Cost", "cost_usd", figures.usd, ordering="cost_usd")
    provider_cost = column("Provider cost", "provider_cost_usd", figures.usd)

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
        return format_html("{} {}", text, link("billing_usage", other, other))

    took = column("Took", "latency_ms", figures.duration, ordering="latency_ms")
    first_token = column("First token after", "ttft_ms", figures.duration)

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
        return link("prompts_prompt", found.pk, key)

    @display(description="Outcome")
    def outcome_text(self, usage: Usage) -> str:
        return (
            f"{usage.status}: {usage.error_code}" if usage.error_code else usage.status
        )

    @display(description="Trace")
    def trace(self, usage: Usage) -> str:
        waited = usage.latency_ms if usage.ttft_ms is None else usage.ttft_ms
        failed = usage.status in ("error", "interrupted")
        return trace_link(usage.trace_id, usage.pk, failed=failed, waited_ms=waited)

    @display(description="Marks")
    def marks_text(self, usage: Usage) -> str:
        return ", ".join(MARKS.get(mark, mark) for mark in usage.marks) or "none"


def _explain(usage: Usage, attempts: list[Attempt]) -> str:
    """How a request was answered; empty for one that was not, and for a correction."""
    if usage.status != "ok":
        return ""
    flags = ", ".join(f"{name} = {value}" for name, value in usage.flags.items())
    found = explain_usage(usage, attempts)
    return f"{found} Flags: {flags}." if flags else found
