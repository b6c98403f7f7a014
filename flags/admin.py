"""Flags, switches and samples of django-waffle in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from waffle import admin as waffle_admin
from waffle.models import Sample, Switch

from flags.models import Flag
from valuecanvas.core.admin import Admin, display

for _model in (Switch, Sample):
    admin.site.unregister(_model)


class WaffleAdmin(Admin):
    """Deletes one by one, because only that clears waffle's cache."""

    search_fields = ("name", "note")
    readonly_fields = ("created", "modified")
    ordering = ("-id",)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


@admin.register(Flag)
class FlagAdmin(WaffleAdmin):
    list_display = (
        "name",
        "state",
        "percent",
        "staff",
        "superusers",
        "note",
        "modified",
    )
    list_filter = ("everyone", "superusers", "staff", "authenticated")
    autocomplete_fields = ("users",)
    filter_horizontal = ("groups",)
    fieldsets = (
        (None, {"fields": ("name", "note", "everyone", "percent")}),
        (
            "Also on for",
            {
                "fields": (
                    ("superusers", "staff", "authenticated"),
                    "users",
                    "groups",
                    "languages",
                )
            },
        ),
        (
            "More",
            {
                "fields": ("testing", "rollout", "created", "modified"),
                "classes": ("collapse",),
            },
        ),
    )
    actions = (
        waffle_admin.enable_for_all,
        waffle_admin.disable_for_all,
        waffle_admin.delete_individually,
    )
    empty_text = (
        "A flag switches something on for some users. Code asks for it by name."
    )

    @display(
        description="Everyone",
        label={"on": "success", "off": "danger", "by the rules": "info"},
    )
    def state(self, flag: Flag) -> str:
        if flag.everyone is None:
            return "by the rules"
        return "on" if flag.everyone else "off"


@admin.register(Switch)
class SwitchAdmin(WaffleAdmin):
    list_display = ("name", "active", "note", "modified")
    list_filter = ("active",)
    fields = ("name", "active", "note", "created", "modified")
    actions = (
        waffle_admin.enable_switches,
        waffle_admin.disable_switches,
        waffle_admin.delete_individually,
    )
    empty_text = "A switch is on or off for all. Code asks for it by name."


@admin.register(Sample)
class SampleAdmin(WaffleAdmin):
    list_display = ("name", "percent", "note", "modified")
    fields = ("name", "percent", "note", "created", "modified")
    actions = (waffle_admin.delete_individually,)
    empty_text = "A sample is on for a share of all calls. Code asks for it by name."
