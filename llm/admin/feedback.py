"""Feedback of callers on their answers, in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import Q

from billing.admin.customer_name import customer_link, names_of
from llm.models import Feedback
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.columns import link
from valuecanvas.core.admin.filters import ConditionFilter, TimeFilter


class ScoreFilter(ConditionFilter):
    title = "score"
    parameter_name = "said"

    def conditions(self) -> list[tuple[str, str, Q]]:
        return [
            ("good", "Good", Q(score__gt=0)),
            ("even", "Neither", Q(score=0)),
            ("bad", "Bad", Q(score__lt=0)),
        ]


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = (
        "created_at",
        "user",
        "score_text",
        "comment",
        "prompt",
        "variant",
        "model",
    )
    list_filter = (("created_at", TimeFilter), ScoreFilter)
    ordering = ("-created_at",)
    fields = (
        ("created_at", "updated_at"),
        "score",
        "comment",
        ("user", "rated"),
        ("prompt_key", "prompt_version"),
        ("variant", "model"),
    )
    empty_text = (
        "Callers rate answers by POST /v1/feedback, with the request id of the answer. "
        "Their feedback is listed here, and counts in experiments."
    )

    def attach(self, rows: list[Any]) -> None:
        named = names_of({row.customer_id for row in rows})
        for row in rows:
            row.called = named.get(str(row.customer_id), row.user_id)

    @display(description="User")
    def user(self, one: Any) -> str:
        if not hasattr(one, "called"):
            self.attach([one])
        return customer_link(one.customer_id, one.called)

    @display(
        description="Score",
        ordering="score",
        label={"good": "success", "even": "default", "bad": "danger"},
    )
    def score_text(self, one: Feedback) -> tuple[str, str]:
        kind = "good" if one.score > 0 else "bad" if one.score < 0 else "even"
        return kind, f"{one.score:+g}" if one.score else "0"

    @display(description="Prompt", ordering="prompt_key")
    def prompt(self, one: Feedback) -> str:
        if not one.prompt_key:
            return "–"
        version = "" if one.prompt_version is None else f" v{one.prompt_version}"
        return f"{one.prompt_key}{version}"

    @display(description="Request")
    def rated(self, one: Feedback) -> str:
        return link("billing_usage", one.request_id, one.request_id)
