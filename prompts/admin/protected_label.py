"""Protected labels: which labels only some people may move."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from prompts.models import ProtectedLabel
from valuecanvas.core.admin.bases import Admin, display


@admin.register(ProtectedLabel)
class ProtectedLabelAdmin(Admin):
    list_display = ("name", "who", "keys_may_move")
    search_fields = ("name",)
    filter_horizontal = ("groups",)
    fields = ("name", "groups", "keys_may_move")
    empty_text = (
        "Every label can be moved by whoever may publish prompts. Protect “production” "
        "here if only some groups should."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("groups")  # type: ignore[no-any-return]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name"] if obj else []

    @display(description="Who may move it")
    def who(self, label: ProtectedLabel) -> str:
        names = [group.name for group in label.groups.all()]
        return ", ".join(names) or "superusers only"
