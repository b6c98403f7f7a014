"""The playground: one request through the real pipeline, from the admin."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from billing.models import ApiKey, Customer
from llm import gateway
from llm.models import Model
from valuecanvas.core.errors import GatewayError

RIGHT = "llm.use_playground"
SYSTEM = "You are a helpful assistant. Answer briefly."


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt to begin with."""

    title: str
    text: str


SAMPLES = (
    Sample(
        "Business model canvas",
        "Write a business model canvas for a bakery that delivers fresh bread by "
        "bicycle. Give one line for each of its nine blocks.",
    ),
    Sample("Say hello", "Write a one-sentence welcome for the visitors of a museum."),
    Sample("List ideas", "Give three ideas for a healthy breakfast, as a short list."),
    Sample(
        "Rewrite politely",
        "Rewrite politely: Your invoice is wrong again. Fix it today.",
    ),
)

# What an operator can do about an error, by its code.
REMEDIES = {
    "insufficient_quota": "This customer used up the requests of its tier for today. "
    "Choose another customer, or give it a higher tier.",
    "budget_exceeded": "A budget has no room for this request. Raise the budget, or "
    "ask for fewer tokens.",
    "rate_limit_exceeded": "Wait a moment, then send again.",
    "customer_suspended": "Resume the customer on its page, or choose another one.",
    "no_tier": "Give the customer a tier.",
    "no_route": "Add a route to the model, or enable its route and provider.",
    "no_provider_available": "Every route failed or is open. See Circuit breakers, "
    "and test the connection of each provider.",
    "providers_throttled": "The providers asked us to wait. Try again in a minute.",
    "service_unavailable": "Part of the gateway is down. Try again in a minute; if it "
    "stays so, see the logs.",
    "model_not_found": "See that the model is enabled and has a route.",
    "model_unpriced": "Add a price for the upstream model under Prices.",
    "upstream_timeout": "The provider was too slow. Try again, or raise the model's "
    "timeouts.",
    "upstream_error": "The provider failed. See Failed attempts for its own words.",
}
REMEDY = "See Requests and Failed attempts for what happened."


class PlaygroundForm(forms.Form):
    """One chat request."""

    customer = forms.ModelChoiceField(
        Customer.objects.all(), help_text="Who is counted and billed for it."
    )
    model = forms.ModelChoiceField(Model.objects.none(), widget=UnfoldAdminSelectWidget)
    system = forms.CharField(
        label="System message",
        required=False,
        max_length=20_000,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
    )
    message = forms.CharField(
        max_length=100_000, widget=UnfoldAdminTextareaWidget({"rows": 5})
    )
    temperature = forms.FloatField(
        min_value=0,
        max_value=2,
        required=False,
        widget=UnfoldAdminDecimalFieldWidget({"step": "0.1"}),
        help_text="0 to 2. Empty: the provider's.",
    )
    max_tokens = forms.IntegerField(
        label="Most tokens",
        min_value=1,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: the tier's cap.",
    )

    def __init__(self, admin_site: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["model"].queryset = self.usable()  # type: ignore[attr-defined]
        # Any relation to a customer will do: it names what to look up.
        widget = AutocompleteSelect(ApiKey._meta.get_field("customer"), admin_site)
        widget.choices = self.fields["customer"].choices  # type: ignore[attr-defined]
        self.fields["customer"].widget = widget

    @staticmethod
    def usable() -> QuerySet[Model]:
        """Chat models with a route that may be taken."""
        return Model.objects.filter(
            enabled=True,
            kind=Model.Kind.CHAT,
            routes__enabled=True,
            routes__provider__enabled=True,
        ).distinct()

    def messages(self) -> list[dict[str, Any]]:
        system, text = self.cleaned_data["system"], self.cleaned_data["message"]
        first = [{"role": "system", "content": system}] if system.strip() else []
        return [*first, {"role": "user", "content": text}]

    def parameters(self) -> dict[str, Any]:
        names = ("temperature", "max_tokens")
        values = {name: self.cleaned_data[name] for name in names}
        return {name: value for name, value in values.items() if value is not None}


class PlaygroundMixin:
    """The page, for the admin of models."""

    admin_site: Any
    page: Any
    record: Any

    def playground_view(self, request: HttpRequest) -> HttpResponse:
        """GET shows the form; POST sends one request, billed as any other."""
        if not request.user.has_perm(RIGHT):
            raise PermissionDenied
        if request.method != "POST":
            return self._show(
                request, PlaygroundForm(self.admin_site, initial=_first(request))
            )
        form = PlaygroundForm(self.admin_site, request.POST)
        if not form.is_valid():
            return self._show(request, form)
        try:
            done = gateway.complete_sync(
                messages=form.messages(),
                model=form.cleaned_data["model"].name,
                customer=form.cleaned_data["customer"],
                parameters=form.parameters(),
            )
        except GatewayError as error:
            remedy = REMEDIES.get(error.code or "", REMEDY)
            return self._show(request, form, error=error, remedy=remedy)
        return self._show(request, form, done=done, row=_row_url(request, done))

    def _show(self, request: HttpRequest, form: Any, **context: Any) -> HttpResponse:
        answer: HttpResponse = self.page(
            request,
            "admin/llm/playground/page.html",
            title="Playground",
            form=form,
            samples=SAMPLES,
            ready=form.fields["model"].queryset.exists(),
            **context,
        )
        return answer


def _first(request: HttpRequest) -> dict[str, Any]:
    own = Customer.objects.filter(user_id=request.user.get_username())
    customer = own.first() or Customer.objects.order_by("id").first()
    model = PlaygroundForm.usable().first()
    return {"customer": customer, "model": model, "system": SYSTEM, "max_tokens": 300}


def _row_url(request: HttpRequest, done: Any) -> str:
    if not request.user.has_perm("billing.view_usage"):
        return ""
    return reverse("admin:billing_usage_change", args=[done.request_id])
