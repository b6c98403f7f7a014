"""Pages of rules: add, edit, remove, reorder, and what a rule would say."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern

from flags import services
from flags.admin.rule_form import TYPES, USUAL, OrderForm, Row, RuleForm
from flags.admin.section import Section
from flags.admin.status import page_of, rule_text
from flags.models import Flag, Rule
from flags.wording import words
from valuecanvas.core.admin.bases import post_only


class RemoveForm(Section):
    key = "remove"

    def __init__(self, flag: Flag, data: Any = None, *, rule: Rule) -> None:
        super().__init__(flag, data)
        self.rule = rule

    def apply(self, actor: Any) -> str:
        services.remove_rule(self.flag, self.rule, **self.said(actor))
        return "The rule is gone; those after it moved up."


class RulesMixin:
    """For the admin of flags."""

    one: Any
    route: Any
    save: Any
    decide: Callable[..., HttpResponse]
    show: Any

    def rule_urls(self) -> list[URLPattern]:
        views = (
            ("rules/add/", self.rule_view, "rule_add"),
            (
                "rules/preview/",
                post_only(self.rule_preview_view, "flags_flag_change"),
                "rule_preview",
            ),
            (
                "rules/order/",
                post_only(self.order_view, "flags_flag_change"),
                "rule_order",
            ),
            ("rules/<int:rule_id>/", self.rule_view, "rule"),
            ("rules/<int:rule_id>/remove/", self.remove_view, "rule_remove"),
        )
        return [
            self.route(f"<path:object_id>/{url}", view, f"flags_flag_{name}")
            for url, view, name in views
        ]

    def rule_view(
        self, request: HttpRequest, object_id: str, rule_id: int | None = None
    ) -> HttpResponse:
        """The rule builder: GET shows it, POST saves."""
        flag = self.one(request, object_id)
        rule = None if rule_id is None else _rule(flag, rule_id)
        form = RuleForm(flag, request.POST or None, rule=rule)
        title = f"Edit the rule “{rule}”" if rule else f"New rule of {flag.name}"
        return self.decide(
            request, form, "rule.html", title, types=TYPES, rule=rule,
            operators=words.OPERATORS, blank=Row(), usual=USUAL,
        )  # fmt: skip

    def rule_preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A fragment: the rule as a sentence, or what is wrong with it."""
        flag = self.one(request, object_id)
        form = RuleForm(flag, request.POST)
        text = form.sentence()
        faults = [fault for row in form.rows for fault in row.faults]
        for name in ("share", "name", "variant"):
            faults += [f"{form.fields[name].label}: {one}" for one in form[name].errors]
        context = {"text": text, "faults": faults}
        return render(request, "admin/flags/flag/rule_preview.html", context)

    def remove_view(
        self, request: HttpRequest, object_id: str, rule_id: int
    ) -> HttpResponse:
        flag = self.one(request, object_id)
        rule = _rule(flag, rule_id)
        form = RemoveForm(flag, request.POST or None, rule=rule)
        return self.decide(
            request,
            form,
            "decide.html",
            f"Remove the rule “{rule}”",
            text=rule_text(rule),
            verb="Remove it",
            danger=True,
        )

    def order_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        flag = self.one(request, object_id)
        form = OrderForm(flag, request.POST)
        done, conflict = self.save(request, form, "rules")
        if done:
            return redirect(f"{page_of(flag)}#rules")
        for text in form.non_field_errors():
            messages.error(request, str(text))
        if form["reason"].errors:
            messages.error(request, "The order is not saved: say why, beside the button.")  # fmt: skip
        fresh = Flag.objects.get(pk=flag.pk)
        answer: HttpResponse = self.show(
            request, fresh, conflict=conflict, code=409 if conflict else 422
        )
        return answer


def _rule(flag: Flag, pk: int) -> Rule:
    """Raises Http404."""
    found: Rule | None = flag.rules.filter(pk=pk).first()
    if found is None:
        raise Http404("The flag has no such rule any more.")
    return found
