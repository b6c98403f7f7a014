"""The tester: evaluates a flag for one user, and shows the reason in words."""

import json
from typing import Any

from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils import timezone

from flags.admin.schedule_forms import moment
from flags.engine.answer import Evaluation
from flags.engine.compiled import TARGETING_KEY
from flags.engine.evaluation import evaluate
from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.core.admin.pages import Page

_REASONS = {
    "STATIC": "the same for everybody",
    "TARGETING_MATCH": "a target, or a rule that matches",
    "SPLIT": "decided by a percentage or by weights",
    "DISABLED": "the flag is off",
    "DEFAULT": "the default: nothing else matched",
    "ERROR": "the flag could not be evaluated",
}


class TesterForm(ConsoleForm):
    """The attributes of the caller to evaluate for."""

    user = forms.CharField(
        label="User",
        required=False,
        widget=forms.TextInput({"placeholder": "alice"}),
    )
    tier = forms.CharField(required=False)
    team = forms.CharField(required=False)
    more = forms.CharField(
        label="Other attributes",
        required=False,
        widget=forms.Textarea(
            {"rows": 3, "placeholder": "country = SE\nappVersion = 2.1.0\nage = 30"}
        ),
        help_text="One per line. 30 is a number, “30” a text, true is yes.",
    )
    at = moment(label="When, UTC (empty: now)", required=False)

    def clean_more(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for line in self.cleaned_data["more"].splitlines():
            if not line.strip():
                continue
            name, sign, text = line.partition("=")
            if not sign or not name.strip():
                raise ValidationError(
                    f"“{line.strip()[:60]}”: write it as country = SE."
                )
            found[name.strip()] = _value(text.strip())
        return found

    def context(self) -> dict[str, Any]:
        given = self.cleaned_data
        named = {"user": "user", TARGETING_KEY: "user", "tier": "tier", "team": "team"}
        known = {name: given[field].strip() for name, field in named.items()}
        return {name: text for name, text in known.items() if text} | dict(
            given["more"]
        )


class TesterFragment(Page):
    """A fragment: what this caller gets, and why."""

    name = "try"
    needs = "view"
    post_only = True

    def answer(self) -> HttpResponse:
        form, flag = TesterForm(self.request.POST), self.original
        context: dict[str, Any] = {"form": form, "flag": flag}
        if form.is_valid():
            store = apps.get_app_config("flags").store  # type: ignore[attr-defined]
            at = form.cleaned_data["at"] or timezone.now()
            found = evaluate(
                store.current(), flag.name, form.context(), now=at.timestamp()
            )
            context |= {
                "found": found,
                **describe_evaluation(found),
                "given": form.context(),
            }
        return self.fragment("admin/flags/flag/tried.html", **context)


def describe_evaluation(found: Evaluation) -> dict[str, str]:
    """The value and the reason of an evaluation in words."""
    return {
        "value": json.dumps(found.value, ensure_ascii=False, indent=2),
        "why": _REASONS.get(found.reason, found.reason),
    }


def _value(text: str) -> Any:
    """`text` as JSON if it is valid, or the text itself."""
    try:
        return json.loads(text.replace("“", '"').replace("”", '"'))
    except ValueError:
        return text
