"""Models in the admin, with their routes."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import URLPattern
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.models import Price
from llm.admin.playground import PlaygroundMixin
from llm.admin.prompt_tools import PromptToolsMixin
from llm.admin.route import route_effects
from llm.models import Model, Route
from llm.request.takes import Takes
from valuecanvas.core.admin.bases import Inline, display, fieldset
from valuecanvas.core.admin.forms import ConsoleFields
from valuecanvas.core.admin.guard import Effects, GuardedAdmin

NO_PRICE = "no price: all requests are refused"


class ModelForm(ConsoleFields, forms.ModelForm):
    takes = forms.MultipleChoiceField(
        choices=Takes.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=Model._meta.get_field("takes").help_text,
    )

    class Meta:
        model = Model
        fields = "__all__"  # noqa: DJ007 (the admin's fieldsets choose)
        labels = {
            "first_token_s": "First token",
            "between_tokens_s": "Between tokens",
            "total_stream_s": "Whole stream",
            "total_s": "Whole answer, not streamed",
        }

    # The user of the form, set by the admin.
    user: Any = None

    def clean_cache_scope(self) -> str:
        scope: str = self.cleaned_data["cache_scope"]
        before = (
            self.instance.cache_scope if self.instance.pk else Model.CacheScope.CUSTOMER
        )
        widths = list(Model.CacheScope.values)
        wider = widths.index(scope) > widths.index(before)
        if wider and not self.user.has_perm("llm.share_answers"):
            raise forms.ValidationError(
                "More callers would share stored answers: that needs the right "
                "“Can share stored answers beyond one customer”."
            )
        return scope


class RouteInline(Inline):
    model = Route
    fields = ("provider", "upstream_model", "priority", "weight", "enabled")
    ordering = ("priority", "-weight")


@admin.register(Model)
class ModelAdmin(PlaygroundMixin, PromptToolsMixin, GuardedAdmin):
    form = ModelForm
    inlines = (RouteInline,)
    list_display = (
        "name",
        "kind",
        "routes_count",
        "max_output_tokens",
        "first_token",
        "longest",
        "enabled",
    )
    list_filter = (("kind", ChoicesDropdownFilter), "enabled")
    fixed_fields = ("name",)
    search_fields = ("name",)
    fieldsets = (
        fieldset(
            None,
            "name",
            "kind",
            "max_output_tokens",
            "context_tokens",
            "takes",
            "enabled",
        ),
        fieldset("Response cache", "cache_policy", "cache_scope"),
        fieldset(
            "Timeouts, in seconds",
            "first_token_s",
            "between_tokens_s",
            "total_stream_s",
            "total_s",
        ),
    )
    empty_text = (
        "A model is a name that clients request. Discover models on a provider's page, "
        "or add one here with its routes."
    )

    def effects(self, request: HttpRequest, before: Any, after: Any) -> Effects:
        if before is None or not before.enabled:
            return {}
        if not after.enabled:
            return {"disable": f"All requests for {after} are refused at once."}
        return route_effects([after.pk]) if before.usable else {}

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        usable = Q(routes__enabled=True, routes__provider__enabled=True)
        price = Price.objects.filter(
            provider=OuterRef("routes__provider_id"),
            upstream_model=OuterRef("routes__upstream_model"),
            effective_from__lte=Now(),
        )
        rows: QuerySet = (
            super()
            .get_queryset(request)
            .annotate(
                usable=Count("routes", filter=usable),
                priced=Count("routes", filter=usable & Q(Exists(price))),
            )
        )
        return rows

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("playground/", self.playground_view, "llm_playground"),
            *self.prompt_urls(),
            *super().get_urls(),
        ]

    @display(description="First token within", ordering="first_token_s")
    def first_token(self, model: Model) -> str:
        return f"{model.first_token_s}\u00a0s"

    @display(description="Whole stream within", ordering="total_stream_s")
    def longest(self, model: Model) -> str:
        return f"{model.total_stream_s}\u00a0s"

    @display(
        description="Usable routes",
        ordering="usable",
        label={"none": "danger", NO_PRICE: "danger"},
    )
    def routes_count(self, model: Any) -> str:
        if not model.usable:
            return "none"
        blocked = settings.LLM_UNPRICED == "block" and not model.priced
        return NO_PRICE if blocked else str(model.usable)
