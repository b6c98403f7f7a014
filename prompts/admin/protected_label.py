"""Protected labels: which labels only some people may move."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from prompts.models import ProtectedLabel
from valuecanvas.core.admin.bases import Admin, display


@admin.register(ProtectedLabel)
class ProtectedLabelAdmin(Admin):
    list_display = ("name", "who", "keys_may_move")
    fixed_fields = ("name",)
    search_fields = ("name",)
    filter_horizontal = ("groups",)
    fields = ("name", "groups", "keys_may_move")
    empty_text = (
        "Everybody who may publish prompts may move every label. Protect “production” "
        "here if only some groups should."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("groups")  # type: ignore[no-any-return]

    @display(description="Who may move it")
    def who(self, label: ProtectedLabel) -> str:
        names = [group.name for group in label.groups.all()]
        return ", ".join(names) or "superusers only"
