"""Circuit breakers in the admin: their state, their transitions, their overrides."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from llm.admin.filters import ProviderFilter, upstream_models
from llm.breaker import report
from llm.models import BreakerEvent, BreakerOverride
from valuecanvas.core.admin.bases import Admin, LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.filters import ConditionFilter, TimeFilter
from valuecanvas.core.admin.widgets import SuggestedText

LAST_EVENTS = 15
FIRST_EXPIRY = timedelta(hours=1)
LONGEST = timedelta(days=30)


class OverrideForm(forms.ModelForm):
    """An override of a breaker: it expires, and a breaker has one at a time."""

    class Meta:
        model = BreakerOverride
        fields = ("provider", "upstream_model", "state", "reason", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "upstream_model" in self.fields:
            self.fields["upstream_model"].widget = SuggestedText(upstream_models())

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        now = timezone.now()
        if not now < expires_at <= now + LONGEST:
            raise ValidationError(f"Choose a time within the next {LONGEST.days} days.")
        return expires_at

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        others = BreakerOverride.objects.filter(
            provider=data.get("provider"),
            upstream_model=data.get("upstream_model", ""),
            expires_at__gt=timezone.now(),
        ).exclude(pk=self.instance.pk)
        if others.exists():
            raise ValidationError(
                "This breaker has an override already: change that one."
            )
        return data


class LiveFilter(ConditionFilter):
    title = "in force"
    parameter_name = "live"

    def conditions(self) -> list[tuple[str, str, Q]]:
        live = Q(expires_at__gt=timezone.now())
        return [("1", "In force", live), ("0", "Expired", ~live)]


@admin.register(BreakerOverride)
class BreakerOverrideAdmin(Admin):
    form = OverrideForm
    list_display = (
        "provider",
        "upstream_name",
        "state",
        "in_force",
        "reason",
        "expires_at",
        "author",
    )
    list_select_related = ("provider", "author")
    list_filter = (LiveFilter, ("state", ChoicesDropdownFilter))
    search_fields = ("upstream_model", "reason")
    autocomplete_fields = ("provider",)
    fields = ("provider", "upstream_model", "state", "reason", "expires_at")
    empty_text = "Every breaker decides by itself. Force one open or closed here."

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("states/", self.states_view, "llm_breakers"),
            *super().get_urls(),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given = super().get_changeform_initial_data(request)
        return {"expires_at": timezone.now() + FIRST_EXPIRY, **given}

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        obj.author = request.user
        super().save_model(request, obj, form, change)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return redirect("admin:llm_breakers")

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return redirect("admin:llm_breakers")

    @display(description="Upstream model", ordering="upstream_model")
    def upstream_name(self, override: BreakerOverride) -> str:
        return override.upstream_model or "every model"

    @display(description="In force", boolean=True)
    def in_force(self, override: BreakerOverride) -> bool:
        return override.expires_at > timezone.now()

    # -- the live page -----------------------------------------------------------

    def states_view(self, request: HttpRequest) -> HttpResponse:
        """Shows the state of every breaker in Redis, and the last transitions."""
        if not request.user.has_perm("llm.view_breakerevent"):
            raise PermissionDenied
        try:
            states, down = report.states(), False
        except report.UnreadableReport:
            states, down = [], True
        return self.page(
            request,
            "admin/llm/breaker/states.html",
            title="Circuit breakers",
            rows=[self._row(state) for state in states],
            down=down,
            overrides=self._overrides(),
            events=BreakerEvent.objects.all()[:LAST_EVENTS],
            may_force=self.has_add_permission(request),
            may_release=self.has_delete_permission(request),
        )

    def _overrides(self) -> Any:
        live = BreakerOverride.objects.filter(expires_at__gt=timezone.now())
        return live.select_related("provider", "author")

    def _row(self, state: report.BreakerStatus) -> dict[str, Any]:
        target = {"provider": state.provider, "upstream_model": state.upstream_model}
        add = reverse("admin:llm_breakeroverride_add")
        return {
            "at": state,
            "forced": state.state.startswith("forced"),
            "force_open": f"{add}?{urlencode({**target, 'state': 'forced_open'})}",
            "force_closed": f"{add}?{urlencode({**target, 'state': 'forced_closed'})}",
        }


@admin.register(BreakerEvent)
class BreakerEventAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = (
        "created_at",
        "provider",
        "upstream_model",
        "from_state",
        "now",
        "reason",
    )
    list_filter = (("created_at", TimeFilter), ProviderFilter)
    search_fields = ("upstream_model",)
    ordering = ("-created_at", "-id")
    empty_text = "No breaker has opened or closed so far: that is good news."

    @display(
        description="To",
        label={
            "closed": "success",
            "half_open": "warning",
            "open": "danger",
            "forced_open": "danger",
            "forced_closed": "info",
        },
    )
    def now(self, event: BreakerEvent) -> str:
        return event.to_state
