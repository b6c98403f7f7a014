"""Try a prompt: sends real requests with one or two versions, side by side."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.text import Truncator
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from llm import gateway
from llm.admin.answer import REMEDIES, ProviderAnswer, ask, read_answer
from llm.admin.playground import RIGHT, BilledForm
from llm.models import Model
from prompts.admin.included import variables_of
from prompts.admin.status import HEAVY
from prompts.admin.value_rules import parse_value
from prompts.admin.version_form import default_text
from prompts.models import Prompt, PromptVersion
from prompts.rendering.label_names import PRODUCTION
from valuecanvas.core.admin import form_results

MOST_VERSIONS = 200
PROMPT_REMEDIES = {
    "invalid_prompt_variables": "Fill in the values that the error names.",
    "invalid_prompt_variable": "Change the value, or the variable's rules in the "
    "editor.",
    "prompt_broken": "A prompt that this one includes is missing: see the preview in "
    "the editor.",
    "prompt_archived": "Restore the prompt first, on its page.",
}


class TryForm(BilledForm):
    """Customer, versions, and values of the variables."""

    left = forms.ChoiceField(label="Version", widget=UnfoldAdminSelectWidget)
    right = forms.ChoiceField(
        label="Compare with", required=False, widget=UnfoldAdminSelectWidget
    )
    model = forms.ModelChoiceField(
        Model.objects.none(),
        required=False,
        empty_label="The model of each version",
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(
        self, *args: Any, choices: Sequence[tuple[int, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        fields: Mapping[str, Any] = self.fields
        fields["left"].choices = choices
        fields["right"].choices = [("", "– none –"), *choices]

    def add_variables(self, declared: Mapping[str, Mapping[str, Any]]) -> None:
        """Add a field for each variable; with a default it may be empty."""
        for name, one in declared.items():
            default = one.get("default")
            hint = (
                f"Empty: {default_text(default)}" if default not in (None, "") else ""
            )
            self.fields[f"value:{name}"] = forms.CharField(
                label=name,
                required=False,
                strip=False,
                max_length=100_000,
                help_text=" ".join(filter(None, (one.get("description", ""), hint))),
                widget=UnfoldAdminTextareaWidget({"rows": 1}),
            )

    def values(self) -> list[Any]:
        """The bound fields of the variables."""
        return [self[name] for name in self.fields if name.startswith("value:")]

    def versions(self) -> list[int]:
        chosen = (self.cleaned_data["left"], self.cleaned_data["right"])
        return list(dict.fromkeys(int(one) for one in chosen if one))

    def variables(self, declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The entered values of one version's variables."""
        given = {name: self.cleaned_data[f"value:{name}"] for name in declared}
        return {
            name: parse_value(text.replace("\r\n", "\n"), declared[name].get("schema"))
            for name, text in given.items()
            if text
        }


class TryMixin:
    """The page, for the admin of models."""

    admin_site: Any
    page: Any

    def prompt_try_view(self, request: HttpRequest, prompt_id: int) -> HttpResponse:
        """GET shows the form; POST sends a billed request for each version, and
        redirects to the answers."""
        if not request.user.has_perms([RIGHT, "prompts.view_prompt"]):
            raise PermissionDenied
        prompt = get_object_or_404(Prompt, pk=prompt_id)
        versions = list(
            prompt.versions.defer(*HEAVY).order_by("-number")[:MOST_VERSIONS]
        )
        choices = [(one.number, _title(one)) for one in versions]
        posted = request.method == "POST"
        sent = None if posted else form_results.outcome_of(request)
        typed = request.POST if posted else sent and sent.typed
        first = _first(request, prompt, [one.number for one in versions])
        form = TryForm(self.admin_site, typed, initial=first, choices=choices)
        declared = _declared(prompt, typed or first)
        form.add_variables(_merged(declared))
        if posted and form.is_valid() and _has_models(form, versions):
            return form_results.once(request, lambda: _run(prompt, form, declared))
        answer: HttpResponse = self.page(
            request,
            "admin/llm/prompt/try.html",
            title="Try it",
            original=prompt,
            opts=prompt._meta,
            prompt=prompt,
            form=form,
            answers=[read_answer(one) for one in (sent and sent.value) or ()],
            note=sent.note if sent else "",
            may_see=request.user.has_perm("billing.view_usage"),
        )
        return answer


Declared = Mapping[int, Mapping[str, Mapping[str, Any]]]


def _declared(prompt: Prompt, chosen: Mapping[str, Any]) -> Declared:
    """The variables of the chosen versions, by version and name."""
    numbers = [
        int(text)
        for text in (str(chosen.get("left")), str(chosen.get("right")))
        if text.isdecimal() and len(text) < 10
    ]
    rows = prompt.versions.filter(number__in=numbers)
    found = {row.number: variables_of(row) for row in rows}
    return {number: found[number] for number in numbers if number in found}


def _merged(declared: Declared) -> dict[str, Mapping[str, Any]]:
    merged: dict[str, Mapping[str, Any]] = {}
    for variables in declared.values():
        merged = {**variables, **merged}
    return merged


def _has_models(form: TryForm, versions: Sequence[PromptVersion]) -> bool:
    """Whether each version has a model; otherwise the form gets an error."""
    if form.cleaned_data["model"]:
        return True
    named = {one.number for one in versions if one.model}
    for number in form.versions():
        if number not in named:
            form.add_error(
                "model",
                f"Choose a model: version {number} has none. Or set one in the editor.",
            )
            return False
    return True


def _run(prompt: Prompt, form: TryForm, declared: Declared) -> list[ProviderAnswer]:
    """Send the requests in parallel: each takes as long as its model."""
    model, customer = form.cleaned_data["model"], form.cleaned_data["customer"]

    def one(number: int) -> ProviderAnswer:
        variables = form.variables(declared.get(number, {}))
        return ask(
            lambda: gateway.complete_sync(
                model=model.name if model else "",
                customer=customer,
                prompt={"id": prompt.key, "version": number, "variables": variables},
            ),
            version=number,
            remedies=REMEDIES | PROMPT_REMEDIES,
        )

    with ThreadPoolExecutor(2, initializer=connections.close_all) as pool:
        return list(pool.map(one, form.versions()))


def _title(version: PromptVersion) -> str:
    note = Truncator(version.note).chars(60)
    return f"Version {version.number}" + (f": {note}" if note else "")


def _first(request: HttpRequest, prompt: Prompt, numbers: list[int]) -> dict[str, Any]:
    """First values: the live and the newest version, billed to the user if known."""
    newest = numbers[0] if numbers else None
    label = prompt.labels.filter(name=PRODUCTION).select_related("version").first()
    live = label.version.number if label else None
    return {
        "left": request.GET.get("left")
        or (live if live != newest else newest)
        or newest,
        "right": request.GET.get("right")
        or (newest if live and live != newest else ""),
        "customer": TryForm.first_customer(request),
    }
