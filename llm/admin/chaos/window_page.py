"""The windows in which production allows experiments: opened by a command alone."""

from django.contrib import admin
from django.utils import timezone

from llm.admin.chaos.switched import ChaosAdmin
from llm.chaos.chaos_windows import is_valid
from llm.models.chaos import ChaosWindow
from valuecanvas.core.admin.bases import ReadOnlyAdmin, display


@admin.register(ChaosWindow)
class ChaosWindowAdmin(ReadOnlyAdmin, ChaosAdmin):
    list_display = ("begins_at", "ends_at", "state", "reason", "opened_by")
    fields = ("begins_at", "ends_at", "reason", "opened_by")
    search_fields = ("reason", "opened_by")
    empty_text = (
        "In production an experiment runs only inside a window. Somebody with a shell "
        "opens one: manage.py chaos open. Elsewhere none is needed."
    )

    @display(
        description="State",
        label={
            "Open": "success",
            "Coming": "info",
            "Over": "default",
            "Not signed by us": "danger",
        },
    )
    def state(self, window: ChaosWindow) -> str:
        if not is_valid(window):
            return "Not signed by us"
        now = timezone.now()
        if window.begins_at > now:
            return "Coming"
        return "Open" if window.ends_at > now else "Over"
