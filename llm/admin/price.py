"""Prices in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminSelectWidget

from billing.admin.reprice import RepriceAdmin
from billing.models import Price
from llm.admin.filters import ProviderFilter, upstream_models
from llm.models import Provider
from valuecanvas.core.admin.bases import display, fieldset
from valuecanvas.core.admin.columns import column
from valuecanvas.core.admin.filters import TimeFilter
from valuecanvas.core.admin.guard import GuardedAdmin
from valuecanvas.core.admin.widgets import SuggestedText
from valuecanvas.core.templatetags import figures


class PriceForm(forms.ModelForm):
    """Suggests the upstream models of routes: a mistyped one would never match."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.fields:
            return  # read-only
        providers = list(Provider.objects.values_list("key", "name"))
        current = self.instance.provider
        if current and current not in dict(providers):
            providers.append((current, f"{current} (deleted)"))
        self.fields["provider"] = forms.ChoiceField(
            choices=[("", "Select value"), *providers], widget=UnfoldAdminSelectWidget
        )
        self.fields["upstream_model"].widget = SuggestedText(upstream_models())


@admin.register(Price)
class PriceAdmin(GuardedAdmin, RepriceAdmin):
    form = PriceForm
    list_display = (
        "upstream_model",
        "provider",
        "input_price",
        "cached_price",
        "written_price",
        "output_price",
        "effective_from",
        "origin",
    )
    list_filter = (
        ProviderFilter,
        ("source", ChoicesDropdownFilter),
        ("effective_from", TimeFilter),
    )
    search_fields = ("upstream_model",)
    fieldsets = (
        fieldset("For", "provider", "upstream_model", "effective_from"),
        fieldset(
            "US dollars per million tokens",
            "input_usd",
            "cached_input_usd",
            "cache_write_usd",
            "output_usd",
        ),
    )
    empty_text = (
        "Without a price a model's requests are refused or capped (LLM_UNPRICED). "
        "Add one for each upstream model of your routes."
    )

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        obj.source = Price.Source.OPERATOR
        super().save_model(request, obj, form, change)

    input_price = column(
        "Input / million", "input_usd", figures.usd, ordering="input_usd"
    )
    cached_price = column("Cache read / million", "cached_usd", figures.usd)
    written_price = column("Cache write / million", "written_usd", figures.usd)
    output_price = column(
        "Output / million", "output_usd", figures.usd, ordering="output_usd"
    )

    @display(
        description="Source", label={"genai-prices": "info", "operator": "success"}
    )
    def origin(self, price: Price) -> str:
        return "genai-prices" if price.source == Price.Source.PACKAGE else "operator"
