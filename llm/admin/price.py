"""Prices, for providers and models that there are."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminSelectWidget

from billing.admin.reprice import RepriceMixin
from billing.models import Price
from llm.admin.filters import ProviderFilter, upstream_models
from llm.models import Provider
from valuecanvas.core.admin.bases import Admin, display
from valuecanvas.core.admin.filters import TimeFilter
from valuecanvas.core.admin.widgets import SuggestedText
from valuecanvas.core.templatetags import figures


class PriceForm(forms.ModelForm):
    """Offers the names that routes use: a mistyped one would never be found."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.fields:
            return  # somebody who may only look
        providers = list(Provider.objects.values_list("key", "name"))
        current = self.instance.provider
        if current and current not in dict(providers):
            providers.append((current, f"{current} (gone)"))
        self.fields["provider"] = forms.ChoiceField(
            choices=[("", "Select value"), *providers], widget=UnfoldAdminSelectWidget
        )
        self.fields["upstream_model"].widget = SuggestedText(upstream_models())


@admin.register(Price)
class PriceAdmin(RepriceMixin, Admin):
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
        ("For", {"fields": ("provider", "upstream_model", "effective_from")}),
        (
            "US dollars per million tokens",
            {
                "fields": (
                    "input_usd",
                    "cached_input_usd",
                    "cache_write_usd",
                    "output_usd",
                )
            },
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

    @display(description="Input / million", ordering="input_usd")
    def input_price(self, price: Price) -> str:
        return figures.usd(price.input_usd)

    @display(description="Cache read / million")
    def cached_price(self, price: Price) -> str:
        return figures.usd(price.cached_usd)

    @display(description="Cache write / million")
    def written_price(self, price: Price) -> str:
        return figures.usd(price.written_usd)

    @display(description="Output / million", ordering="output_usd")
    def output_price(self, price: Price) -> str:
        return figures.usd(price.output_usd)

    @display(
        description="Source", label={"genai-prices": "info", "operator": "success"}
    )
    def origin(self, price: Price) -> str:
        return "genai-prices" if price.source == Price.Source.PACKAGE else "operator"
