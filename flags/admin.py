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


@admin.register(Flag)
class FlagAdmin(waffle_admin.FlagAdmin, Admin):  # type: ignore[misc]
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
    raw_id_fields = ()
    autocomplete_fields = ("users",)
    filter_horizontal = ("groups",)
    readonly_fields = ("created", "modified")
    fieldsets = (
        (None, {"fields": ("name", "note", "everyone", "percent")}),
        ("Also on for", {"fields": ("superusers", "staff", "authenticated", "users", "groups", "languages")}),
        ("More", {"fields": ("testing", "rollout", "created", "modified"), "classes": ("collapse",)}),
    )  # fmt: skip
    empty_text = (
        "A flag switches something on for some users. Code asks for it by name."
    )

    def formfield_for_dbfield(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        # Past waffle's own, whose widget isn't unfold's.
        return Admin.formfield_for_dbfield(self, db_field, request, **kwargs)

    @display(
        description="Everyone",
        label={"on": "success", "off": "danger", "by the rules": "info"},
    )
    def state(self, flag: Flag) -> str:
        return {True: "on", False: "off"}.get(flag.everyone, "by the rules")


@admin.register(Switch)
class SwitchAdmin(waffle_admin.SwitchAdmin, Admin):  # type: ignore[misc]
    list_display = ("name", "active", "note", "modified")
    readonly_fields = ("created", "modified")
    fields = ("name", "active", "note", "created", "modified")
    empty_text = "A switch is on or off for all. Code asks for it by name."


@admin.register(Sample)
class SampleAdmin(waffle_admin.SampleAdmin, Admin):  # type: ignore[misc]
    list_display = ("name", "percent", "note", "modified")
    readonly_fields = ("created", "modified")
    fields = ("name", "percent", "note", "created", "modified")
    empty_text = "A sample is on for a share of all calls. Code asks for it by name."
