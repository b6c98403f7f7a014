"""The playground: sends one real request from the admin."""

from collections.abc import Mapping
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
from llm.admin.answer import ProviderAnswer, ask, read_answer
from llm.models import Model
from llm.replies.completion import Completion
from valuecanvas.core.admin import form_results

RIGHT = "llm.use_playground"
SYSTEM = "You are a helpful assistant. Answer briefly."


@dataclass(frozen=True, slots=True)
class SamplePromptText:
    """A sample prompt."""

    title: str
    text: str


SAMPLES = (
    SamplePromptText(
        "Business model canvas",
        "Write a business model canvas for a bakery that delivers fresh bread by "
        "bicycle. Give one line for each of its nine blocks.",
    ),
    SamplePromptText(
        "Say hello", "Write a one-sentence welcome for the visitors of a museum."
    ),
    SamplePromptText(
        "List ideas", "Give three ideas for a healthy breakfast, as a short list."
    ),
    SamplePromptText(
        "Rewrite politely",
        "Rewrite politely: Your invoice is wrong again. Fix it today.",
    ),
)


class BilledForm(forms.Form):
    """A form that sends requests at a customer's cost, with a model to choose."""

    customer = forms.ModelChoiceField(
        Customer.objects.all(), help_text="The customer who is billed."
    )

    def __init__(self, admin_site: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: Mapping[str, Any] = self.fields
        fields["model"].queryset = self.usable()
        # The widget needs some relation to a customer.
        widget = AutocompleteSelect(ApiKey._meta.get_field("customer"), admin_site)
        widget.choices = fields["customer"].choices
        fields["customer"].widget = widget

    @staticmethod
    def usable() -> QuerySet[Model]:
        """Chat models with an enabled route."""
        return Model.objects.filter(
            enabled=True,
            kind=Model.Kind.CHAT,
            routes__enabled=True,
            routes__provider__enabled=True,
        ).distinct()

    @staticmethod
    def first_customer(request: HttpRequest) -> Customer | None:
        """The user's own customer, if there is one; else the first."""
        own = Customer.objects.filter(user_id=request.user.get_username())
        return own.first() or Customer.objects.order_by("id").first()


class PlaygroundForm(BilledForm):
    """One chat request."""

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
        label="Longest answer, in tokens",
        min_value=1,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: the tier's cap.",
    )

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
        """GET shows the form; POST sends one billed request, and redirects to its
        answer."""
        if not request.user.has_perm(RIGHT):
            raise PermissionDenied
        if request.method == "POST":
            form = PlaygroundForm(self.admin_site, request.POST)
            if form.is_valid():
                return form_results.once(request, lambda: _ask(form))
            return self._show(request, form)
        sent = form_results.outcome_of(request)
        typed = sent.typed if sent else None
        form = PlaygroundForm(self.admin_site, typed, initial=_first(request))
        if sent is None or sent.value is None:
            return self._show(request, form, note=sent.note if sent else "")
        answer = read_answer(sent.value)
        return self._show(
            request, form, answer=answer, row=_row_url(request, answer.done)
        )

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
    customer = PlaygroundForm.first_customer(request)
    model = PlaygroundForm.usable().first()
    return {"customer": customer, "model": model, "system": SYSTEM, "max_tokens": 300}


def _ask(form: PlaygroundForm) -> ProviderAnswer:
    return ask(
        lambda: gateway.complete_sync(
            messages=form.messages(),
            model=form.cleaned_data["model"].name,
            customer=form.cleaned_data["customer"],
            parameters=form.parameters(),
        )
    )


def _row_url(request: HttpRequest, done: Completion | None) -> str:
    if done is None or not request.user.has_perm("billing.view_usage"):
        return ""
    return reverse("admin:billing_usage_change", args=[done.request_id])
