"""Flags in the admin: the list, and the form of a new flag."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from flags import exposure, services
from flags.admin import rights
from flags.admin.filters import FlagStateFilter, StaleFilter, stale_names
from flags.admin.forms import owner_and_expiry
from flags.admin.history import ExposuresFragment, RevertPage
from flags.admin.rights import request_actor
from flags.admin.rules import (
    AddRulePage,
    OrderPage,
    RemoveRulePage,
    RulePage,
    RulePreview,
)
from flags.admin.schedule import CancelPage
from flags.admin.switches import (
    SWITCHES,
    ArchivePage,
    DisablePage,
    EnablePage,
    KillPage,
    RevivePage,
    for_several,
)
from flags.admin.tester import TesterFragment
from flags.admin.workspace import FlagDetailsPage, FlagWorkspaceAdmin
from flags.models import ChangeState, Flag, FlagKind, Rule, ScheduledChange
from flags.wording.listing import badge, is_expired
from valuecanvas.core.admin.bases import display, fieldset
from valuecanvas.core.templatetags.figures import ago

FIELDS = ("name", "kind", "note", "percent", "purpose", "owner", "expires_on", "tags", "in_gateway")  # fmt: skip
# Links above the list: the most frequent filters.
CHIPS = (
    ("All flags", ""),
    ("On", "state=on"),
    ("Off", "state=off"),
    ("Killed", "state=killed"),
    ("Scheduled", "state=scheduled"),
    ("Stale", "stale=any"),
)


class NewFlagForm(forms.ModelForm):
    """The fields of a new flag; the rest is set on its page."""

    tags = SimpleArrayField(
        forms.CharField(max_length=40),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Words to find it by, with commas.",
    )

    class Meta:
        model = Flag
        fields = FIELDS
        widgets = {"note": UnfoldAdminTextareaWidget({"rows": 3})}

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("kind") == FlagKind.BOOLEAN or given.get("percent") is None:
            return given
        if given["percent"] != 100:
            self.add_error(
                "percent",
                "Leave it empty: set it on the flag's page, once it has variants.",
            )
        return given


@admin.register(Flag)
class FlagAdmin(FlagWorkspaceAdmin):
    pages = (
        FlagDetailsPage,
        *SWITCHES,
        AddRulePage,
        RulePreview,
        OrderPage,
        RulePage,
        RemoveRulePage,
        CancelPage,
        TesterFragment,
        RevertPage,
        ExposuresFragment,
    )
    form = NewFlagForm
    list_display = (
        "named",
        "state",
        "rollout_bar",
        "expiry",
        "last_evaluated",
        "owner",
    )
    list_display_links = ("named",)
    list_select_related = ("owner",)
    list_filter = (
        FlagStateFilter,
        StaleFilter,
        ("purpose", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
    )
    search_fields = ("name", "note", "tags")
    search_help_text = "Part of a name, a tag or the note."
    list_before_template = "admin/flags/flag/chips.html"
    autocomplete_fields = ("owner",)
    ordering = ("name",)
    actions = tuple(
        map(for_several, (EnablePage, DisablePage, KillPage, RevivePage, ArchivePage))
    )
    fieldsets = (fieldset(None, *FIELDS),)
    save_and_continue = False
    delete_many = False  # one by one, on a page that asks why
    empty_text = (
        "A flag switches something on for some users, or for all. Programs evaluate it "
        "by name, and you decide here who gets what."
    )

    class Media:
        css = {"all": ("valuecanvas/prompts.css", "valuecanvas/flags.css")}

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Shows the flag's own events: they include changes by the API."""
        flag = self.find_object(request, object_id, "view")
        events = reverse("admin:flags_flagevent_changelist")
        return redirect(f"{events}?{urlencode({'q': flag.name})}")

    def has_kill_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(rights.KILL)

    # -- the list ------------------------------------------------------------------

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        here = request.GET.urlencode()
        chips = [(title, query, query == here) for title, query in CHIPS]
        context = {**(extra_context or {}), "chips": chips}
        answer: HttpResponse = super().changelist_view(request, context)
        return answer

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        columns: tuple[str, ...] = self.list_display
        return (*columns, "switch") if self.has_kill_permission(request) else columns

    def attach(self, rows: list[Any]) -> None:
        """Load what the columns show, with the same few queries for any number of flags."""
        now = timezone.now()
        ids = [row.pk for row in rows]
        seen = exposure.last_seen(row.name for row in rows)
        rules = dict(
            Rule.objects.filter(flag__in=ids, enabled=True)
            .order_by()
            .values_list("flag")
            .annotate(Count("pk"))
        )
        changes = ScheduledChange.objects.filter(
            flag__in=ids, state=ChangeState.PENDING
        )
        first = changes.order_by("flag_id", "at", "pk").distinct("flag_id")
        pending = {one.flag_id: one for one in first}
        stale = stale_names(rows, now)
        for row in rows:
            row.today = now.date()
            row.seen_at = seen.get(row.name)
            row.rule_count = rules.get(row.pk, 0)
            row.next_change = pending.get(row.pk)
            row.stale = stale.get(row.pk, "")

    @display(description="Flag", ordering="name")
    def named(self, flag: Any) -> str:
        return format_html(
            '{}<span class="vc-note vp-who vf-note">{}</span>',
            flag.name,
            flag.note[:120],
        )

    @display(description="State")
    def state(self, flag: Any) -> str:
        return render_to_string("admin/flags/flag/state.html", {"flag": flag, **badge(flag)})  # fmt: skip

    @display(description="Rollout", ordering="percent")
    def rollout_bar(self, flag: Any) -> str:
        return render_to_string("admin/flags/flag/bar.html", {"flag": flag})

    @display(description="Expires", ordering="expires_on")
    def expiry(self, flag: Any) -> str:
        context = {"flag": flag, "expired": is_expired(flag, flag.today)}
        return render_to_string("admin/flags/flag/expiry.html", context)

    @display(description="Last evaluated")
    def last_evaluated(self, flag: Any) -> str:
        return ago(flag.seen_at) if flag.seen_at else "not in 90 days"

    @display(description="Switch")
    def switch(self, flag: Any) -> str:
        if flag.archived:
            return "–"
        name = "revive" if flag.killed else "kill"
        return format_html(
            '<a class="vf-switch vf-{}" href="{}?from=list">{}</a>',
            name,
            reverse(f"admin:flags_flag_{name}", args=[flag.pk]),
            name.capitalize(),
        )

    # -- a new flag ------------------------------------------------------------------

    def save_model(
        self, request: HttpRequest, obj: Any, form: forms.ModelForm, change: bool
    ) -> None:
        given = form.cleaned_data
        plain = ("name", "kind", "note", "purpose", "tags", "in_gateway")
        wanted = {name: given[name] for name in plain} | owner_and_expiry(given)
        if given["percent"] is not None:
            wanted["percent"] = str(given["percent"])
        actor = request_actor(request)
        made = services.create_flag(wanted, actor=actor, reason="Created in the admin")
        vars(obj).update(vars(made))

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        """The service has saved all of it."""

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        still = "" if obj.share else " Nobody gets it yet: set below who does."
        self.message_user(request, f"{obj.name} is created.{still}")
        return redirect("admin:flags_flag_change", obj.pk)
