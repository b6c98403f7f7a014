"""Admin pages of users, groups and the audit log."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from valuecanvas.core.admin.bases import Admin, LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.filters import TimeFilter
from valuecanvas.site import log_level_admin, periodic_admin, webhook_admin

__all__ = ["log_level_admin", "periodic_admin", "webhook_admin"]

admin.site.unregister(User)
admin.site.unregister(Group)


class SuperusersOnly(Admin):
    """Only superusers change users and groups; others may view them with the right."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)


# Django's class comes first: unfold has an empty `add_fieldsets` of its own.
@admin.register(User)
class UserAdmin(DjangoUserAdmin, SuperusersOnly):  # type: ignore[misc]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "email",
        "role",
        "is_active",
        "groups_text",
        "last_login",
    )
    empty_text = "Users of this admin. Callers of the API are customers."

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    @display(
        description="Role",
        label={"superuser": "danger", "staff": "info", "no access": "default"},
    )
    def role(self, user: User) -> str:
        if user.is_superuser:
            return "superuser"
        return "staff" if user.is_staff else "no access"

    @display(description="Groups")
    def groups_text(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "–"


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, SuperusersOnly):  # type: ignore[misc]
    empty_text = "A group is a set of rights. `Operators` and `Auditors` are created automatically."


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("when", "user", "kind", "what", "row", "change")
    list_select_related = ("user", "content_type")
    list_filter = (
        ("action_time", TimeFilter),
        ("action_flag", ChoicesDropdownFilter),
    )
    search_fields = ("=user__username", "object_id__exact")
    search_help_text = "A whole user name, or the whole id of an object."
    ordering = ("-id",)  # as the time goes, and indexed
    fields = ("action_time", "user", "kind", "what", "row", "object_id", "change")
    empty_text = "Every change made in the admin is recorded here."

    @display(description="When")
    def when(self, entry: LogEntry) -> datetime:
        return entry.action_time

    @display(
        description="Action",
        ordering="action_flag",
        label={"added": "success", "changed": "info", "deleted": "danger"},
    )
    def kind(self, entry: LogEntry) -> str:
        return {1: "added", 2: "changed", 3: "deleted"}.get(entry.action_flag, "")

    @display(description="What")
    def what(self, entry: LogEntry) -> str:
        return entry.content_type.name if entry.content_type else "–"

    @display(description="Which")
    def row(self, entry: LogEntry) -> str:
        url = None if entry.is_deletion() else entry.get_admin_url()
        if not url:
            return entry.object_repr
        return format_html(
            '<a class="vc-link" href="{}">{}</a>', url, entry.object_repr
        )

    @display(description="Change")
    def change(self, entry: LogEntry) -> str:
        return format_html("{}", entry.get_change_message())
