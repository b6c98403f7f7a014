"""Alert rules in the admin: what is watched, who is told, and mutes."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.models import AlertKind, AlertRule, AlertState
from valuecanvas.core.admin.bases import Admin, display, fieldset
from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.core.admin.pages import ConfirmPage

RIGHT = "billing.change_alertrule"
# The parameters of each kind.
PARAMETERS = {
    AlertKind.SPEND: ("factor", "least_usd"),
    AlertKind.ERRORS: (
        "percent", "window_minutes", "least_requests", "model", "provider",
    ),
}  # fmt: skip
UNTIL = "until"
LENGTHS = {"1": "1 hour", "8": "8 hours", "24": "24 hours", UNTIL: "Until a time"}
LONGEST_MUTE = timedelta(days=90)


class MuteForm(ConsoleForm):
    """For how long."""

    length = forms.ChoiceField(choices=list(LENGTHS.items()), label="For")
    until = forms.DateTimeField(
        required=False,
        help_text="In UTC, as in 2026-12-24 18:00. Only for 'Until a time'.",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        until = self.end()
        now = timezone.now()
        if until is None or not now < until <= now + LONGEST_MUTE:
            self.add_error(
                "until", f"Give a time in the next {LONGEST_MUTE.days} days."
            )
        return data

    def end(self) -> datetime | None:
        """When the mute ends."""
        length = self.cleaned_data.get("length", UNTIL)
        if length == UNTIL:
            found: datetime | None = self.cleaned_data.get("until")
            return found
        return timezone.now() + timedelta(hours=int(length))


class MutePage(ConfirmPage):
    """Sends nothing of a rule for a while."""

    name = "mute"
    needs = "view"
    right = RIGHT
    form_class = MuteForm
    title = verb = "Mute"
    text = (
        "Its alerts are listed, but not sent. What still fires when the mute ends is "
        "sent then. An incident that is open is still closed when its alert resolves."
    )

    def act(self, form: Any) -> str:
        until = form.end()
        AlertRule.objects.filter(pk=self.original.pk).update(muted_until=until)
        return f"Muted until {until:%Y-%m-%d %H:%M} UTC."


class UnmutePage(ConfirmPage):
    """Ends a mute."""

    name = "unmute"
    needs = "view"
    right = RIGHT
    form_class = forms.Form
    title = verb = "End the mute"
    text = "What fires now and was not sent is sent within a minute."

    def act(self, form: Any) -> str:
        AlertRule.objects.filter(pk=self.original.pk).update(muted_until=None)
        return "Not muted any more."


@admin.register(AlertRule)
class AlertRuleAdmin(Admin):
    list_display = ("name", "kind", "severity", "told", "firing_count", "status", "enabled")  # fmt: skip
    list_filter = (
        ("kind", ChoicesDropdownFilter), ("severity", ChoicesDropdownFilter), "enabled",
    )  # fmt: skip
    search_fields = ("name",)
    search_help_text = "A name."
    autocomplete_fields = ("channels",)
    fixed_fields = ("kind",)
    pages = (MutePage, UnmutePage)
    delete_many = False
    readonly_fields = ("status", "muted_until", "last_error")
    conditional_fields = {
        name: f"kind == '{kind.value}'"
        for kind, names in PARAMETERS.items()
        for name in names
    }
    fieldsets = (
        fieldset(None, "name", "kind", "severity", "enabled"),
        fieldset(
            "Parameters", *(one for names in PARAMETERS.values() for one in names)
        ),
        fieldset("Who is told", "channels"),
        fieldset("State", "status", "muted_until", "last_error"),
    )
    change_form_outer_after_template = "admin/billing/alertrule/after.html"
    instead = "Disable it instead: its alerts are kept."
    empty_text = "A rule says what is watched and who is told. `manage.py upgrade` makes one of each kind."  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        live = Count("events", Q(events__state=AlertState.FIRING), distinct=True)
        rows = super().get_queryset(request).annotate(live=live)
        found: QuerySet = rows.prefetch_related("channels")
        return found

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A rule's own parameters; those of a new one follow its kind."""
        if obj is None:
            return self.fieldsets[:3]
        own = PARAMETERS.get(obj.kind, ())
        first, _, *rest = self.fieldsets
        return (first, *([fieldset("Parameters", *own)] if own else []), *rest)

    @display(description="Channels")
    def told(self, rule: AlertRule) -> str:
        return ", ".join(map(str, rule.channels.all())) or "console only"

    @display(description="Firing")
    def firing_count(self, rule: Any) -> int:
        return int(rule.live)

    @display(
        description="State",
        label={
            "watching": "success", "muted": "warning", "off": "default",
            "cannot be checked": "danger",
        },
    )  # fmt: skip
    def status(self, rule: AlertRule) -> str:
        if not rule.enabled:
            return "off"
        if rule.last_error:
            return "cannot be checked"
        return "muted" if rule.is_muted else "watching"
