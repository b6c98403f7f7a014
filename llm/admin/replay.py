"""The page of a request that got an earlier answer again, by its Idempotency-Key."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from billing.admin.customer_name import customer_link
from billing.models import IdempotentReplay
from billing.models.customer import full_name
from llm.admin.trace import trace_link
from llm.settlement.explanation import explain_replay
from valuecanvas.core.admin.bases import (
    LargeTableAdmin,
    ReadOnlyAdmin,
    display,
    fieldset,
)
from valuecanvas.core.admin.filters import TimeFilter
from valuecanvas.core.ids import uuid_or_none


@admin.register(IdempotentReplay)
class ReplayAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("created_at", "user", "model", "endpoint", "original_id")
    list_filter = (("created_at", TimeFilter),)
    ordering = ("-created_at", "-id")
    fieldsets = (
        fieldset(None, ("id", "created_at"), "original_id"),
        fieldset("Who", ("user_id", "team"), ("customer", "key")),
        fieldset("Where", ("model", "endpoint"), ("trace", "job")),
    )
    change_form_outer_before_template = "admin/billing/explanation.html"
    empty_text = (
        "A request is listed when it repeated an Idempotency-Key: see Requests."
    )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        known = uuid_or_none(object_id)
        replay = self.get_object(request, object_id) if known else None
        context = dict(extra_context or {})
        if replay is not None:
            context["explanation"] = explain_replay(replay)
            context["original"] = replay.original_id
        answer: HttpResponse = super().change_view(
            request, object_id, form_url, context
        )
        return answer

    @display(description="User")
    def user(self, replay: IdempotentReplay) -> str:
        return full_name(replay.user_id, replay.team)

    @display(description="Trace")
    def trace(self, replay: IdempotentReplay) -> str:
        return trace_link(replay.trace_id, replay.pk, failed=False)

    @display(description="Customer")
    def customer(self, replay: IdempotentReplay) -> str:
        return customer_link(replay.customer_id, self.user(replay))
