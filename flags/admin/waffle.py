"""Switches and samples of django-waffle in the admin."""

from django.contrib import admin
from waffle import admin as waffle_admin
from waffle.models import Sample, Switch

from valuecanvas.core.admin.bases import Admin

for _model in (Switch, Sample):
    admin.site.unregister(_model)


class WaffleAdmin(Admin):
    """Deletes rows one by one, because only that clears waffle's cache."""

    search_fields = ("name", "note")
    readonly_fields = ("created", "modified")
    ordering = ("-id",)
    delete_many = False


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
    empty_text = "A switch is on or off for all. Code reads it by name."


@admin.register(Sample)
class SampleAdmin(WaffleAdmin):
    list_display = ("name", "percent", "note", "modified")
    fields = ("name", "percent", "note", "created", "modified")
    actions = (waffle_admin.delete_individually,)
    empty_text = "A sample is on for a share of all calls. Code reads it by name."
