"""Pages of rules: add, edit, remove, reorder, preview."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse

from flags import services
from flags.admin.rule_form import TYPES, USUAL, ConditionRow, OrderForm, RuleForm
from flags.admin.section import FlagPage
from flags.admin.status import rule_text
from flags.models import Flag, Rule
from flags.wording import words
from valuecanvas.core.admin.pages import Page
from valuecanvas.core.errors import Conflict


class AddRulePage(FlagPage):
    """The rule builder: GET shows it, POST saves."""

    name = "rule_add"
    url = "rules/add/"
    template = "admin/flags/flag/rule.html"
    rule: Rule | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.title = f"New rule of {self.original.name}"

    def form(self, data: Any) -> RuleForm:
        return RuleForm(self.original, data, rule=self.rule)

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        return {
            **super().context(conflict),
            "types": TYPES,
            "rule": self.rule,
            "operators": words.OPERATORS,
            "blank": ConditionRow(),
            "usual": USUAL,
        }


class RulePage(AddRulePage):
    """The rule builder for an existing rule."""

    name = "rule"
    url = "rules/<int:rule_id>/"

    def __init__(self, *args: Any, rule_id: int) -> None:
        super().__init__(*args)
        self.rule = _rule(self.original, rule_id)
        self.title = f"Edit the rule “{self.rule}”"


class RulePreview(Page):
    """A fragment: the rule as a sentence, or its errors."""

    name = "rule_preview"
    url = "rules/preview/"
    post_only = True

    def answer(self) -> HttpResponse:
        form = RuleForm(self.original, self.request.POST)
        text = form.sentence()
        faults = [fault for row in form.rows for fault in row.faults]
        for name in ("share", "name", "variant"):
            faults += [f"{form.fields[name].label}: {one}" for one in form[name].errors]
        return self.fragment(
            "admin/flags/flag/rule_preview.html", text=text, faults=faults
        )


class RemoveRulePage(FlagPage):
    name = "rule_remove"
    url = "rules/<int:rule_id>/remove/"
    verb = "Remove the rule"
    danger = True

    def __init__(self, *args: Any, rule_id: int) -> None:
        super().__init__(*args)
        self.rule = _rule(self.original, rule_id)
        self.title = f"Remove the rule “{self.rule}”"
        self.text = rule_text(self.rule)

    def act(self, form: Any) -> str:
        services.remove_rule(self.original, self.rule, **form.why(self.actor))
        return "The rule is removed. The rules after it moved up."


class OrderPage(FlagPage):
    """Saves the order; errors are shown on the flag's page."""

    name = "rule_order"
    url = "rules/order/"
    form_class = OrderForm
    post_only = True

    def ask(self, form: Any, conflict: Conflict | None = None) -> HttpResponse:
        for text in form.non_field_errors():
            messages.error(self.request, str(text))
        if form["reason"].errors:
            messages.error(self.request, "The order is not saved: give a reason beside the button.")  # fmt: skip
        fresh = Flag.objects.get(pk=self.original.pk)
        answer: HttpResponse = self.admin.show(
            self.request, fresh, conflict=conflict, code=409 if conflict else 422
        )
        return answer


def _rule(flag: Flag, pk: int) -> Rule:
    """Raises Http404."""
    found: Rule | None = flag.rules.filter(pk=pk).first()
    if found is None:
        raise Http404("The flag has no such rule any more.")
    return found
