"""All requests in one list: served, failed, replayed and refused."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse

from billing.auth import keys
from billing.models import ApiKey, IdempotentReplay, Refusal, Request, Usage
from billing.models.customer import full_name
from llm.admin.filters import ModelFilter, PromptFilter, ProviderFilter, TeamFilter
from llm.admin.refusal_reason import REASONS
from llm.admin.usage import CachedFilter
from valuecanvas.core.admin.bases import (
    ExactSearchAdmin,
    LargeTableAdmin,
    ReadOnlyAdmin,
    display,
)
from valuecanvas.core.admin.columns import column
from valuecanvas.core.admin.filters import ConditionFilter, NamesFilter, TimeFilter
from valuecanvas.core.ids import uuid_or_none
from valuecanvas.core.templatetags import figures

# Of which the view is made.
TABLES = (Usage, Refusal, IdempotentReplay)


class RequestOutcomeFilter(ConditionFilter):
    title = "outcome"
    parameter_name = "outcome"

    def conditions(self) -> list[tuple[str, str, Q]]:
        failed = ~Q(status__in=("ok", "correction", "replayed"))
        return [
            ("ok", "Answered", Q(refused=False, status="ok")),
            ("failed", "Not answered", Q(refused=False) & failed),
            ("refused", "Refused", Q(refused=True)),
            ("replayed", "Replayed", Q(refused=False, status="replayed")),
            ("correction", "Corrections", Q(refused=False, status="correction")),
        ]


class ReasonFilter(NamesFilter):
    title = "reason"
    parameter_name = "code"

    def names(self) -> list[tuple[str, str]]:
        return [(code, code.replace("_", " ")) for code in REASONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        rows = super().queryset(request, queryset)
        # The ledger has no index of codes: of ours it has none, and others say that it failed.
        if self.value() in REASONS:
            return rows.filter(refused=True)
        return rows.exclude(status="ok") if self.value() else rows


@admin.register(Request)
class RequestAdmin(ReadOnlyAdmin, LargeTableAdmin, ExactSearchAdmin):
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
    list_filter = (
        ("created_at", TimeFilter),
        RequestOutcomeFilter,
        ReasonFilter,
        ModelFilter,
        ProviderFilter,
        CachedFilter,
        PromptFilter,
        TeamFilter,
    )
    search_help_text = "The whole id of a request or user, a label sent as 'user', or the prefix of a key."
    ordering = ("-created_at", "-id")
    empty_text = (
        "Every request of a client is listed here, refused ones too. Send a first one "
        "from the Playground, or with an API key and any OpenAI client."
    )

    def condition(self, term: str) -> Q:
        """Search one indexed column: with several, PostgreSQL may scan both tables."""
        request_id = uuid_or_none(term)
        if request_id and _has_row(pk=request_id):
            return Q(pk=request_id)
        prefix = keys.parse(term) or term.removeprefix("vc-").rstrip("-…")
        if ApiKey.objects.filter(pk=prefix).exists():
            return Q(key=prefix)
        if _has_row(user_id=term):
            return Q(user_id=term)
        # Only the ledger has the label.
        return Q(refused=False, end_user=term)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of the row in its own table."""
        pk = uuid_or_none(object_id)
        page = self.admin_site.get_model_admin(_table(pk) if pk else Usage)
        found: HttpResponse = page.change_view(
            request, object_id, form_url, extra_context
        )
        return found

    @display(description="User")
    def user(self, row: Request) -> str:
        return full_name(row.user_id, row.team) if row.user_id else "–"

    @display(description="Served by")
    def served_by(self, row: Request) -> str:
        return "cache" if row.cached else row.provider or "–"

    @display(description="Tokens in / out")
    def tokens(self, row: Request) -> str:
        if row.refused or row.status == "replayed":
            return "–"
        read = figures.commas(row.prompt_tokens)
        return f"{read} / {figures.commas(row.completion_tokens)}"

    @display(description="Cost")
    def cost(self, row: Request) -> str:
        return "–" if row.refused else figures.usd(row.cost_usd)

    took = column("Took", "latency_ms", figures.duration)

    @display(
        description="Outcome",
        label={
            "ok": "success",
            "failed": "danger",
            "refused": "warning",
            "correction": "info",
            "replayed": "info",
        },
    )
    def outcome(self, row: Request) -> tuple[str, str]:
        if row.status in ("ok", "correction", "replayed"):
            return row.status, row.status
        code = (row.code or row.status).replace("_", " ")
        return ("refused", f"refused: {code}") if row.refused else ("failed", code)


def _table(pk: UUID) -> type[Model]:
    """The table of a request; that of the ledger for one that is in none."""
    found = (one for one in TABLES if one._default_manager.filter(pk=pk).exists())
    return next(found, Usage)


def _has_row(**condition: Any) -> bool:
    """Whether one of the tables has such a row."""
    return any(one._default_manager.filter(**condition).exists() for one in TABLES)
