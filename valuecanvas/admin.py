"""Admin pages of the audit log, and those of the modules below."""

from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.filters import TimeFilter
from valuecanvas.core.audit import timeline_admin
from valuecanvas.site import log_level_admin, periodic_admin, webhook_admin
from valuecanvas.site.people import user_admin

__all__ = [
    "log_level_admin",
    "periodic_admin",
    "timeline_admin",
    "user_admin",
    "webhook_admin",
]

# allauth's own: what is theirs to see is on the page 'Your account'.
admin.site.unregister(
    [EmailAddress, Authenticator, SocialApp, SocialToken, SocialAccount]
)


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
