"""The form of a rule: rows of attribute, operator and value."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from flags import services
from flags.actor import FlagActor
from flags.admin.forms import variant_choices
from flags.admin.section import Section
from flags.models import Flag, FlagKind, Rule
from flags.wording import words
from valuecanvas.core.admin.forms import PercentField, hundredths
from valuecanvas.core.targeting.conditions import check_conditions

TEXT, NUMBER, BOOLEAN = "text", "number", "boolean"
TYPES = ((TEXT, "text"), (NUMBER, "number"), (BOOLEAN, "yes or no"))
LISTS = ("in", "not_in")
# Offered as attributes; programs may send any other.
USUAL = ("user", "tier", "team", "country", "appVersion", "targetingKey")
_YES, _NO = ("yes", "true"), ("no", "false")
_COLUMNS = ("attribute", "operator", "type", "value")


@dataclass(slots=True)
class ConditionRow:
    """One condition as entered."""

    attribute: str = ""
    operator: str = "in"
    type: str = TEXT
    value: str = ""
    faults: list[str] = field(default_factory=list)

    def condition(self) -> dict[str, Any]:
        """The condition for the services; errors go into `faults`."""
        found = {
            "attribute": self.attribute.strip(),
            "operator": self.operator,
            "value": self._value(),
        }
        if not found["attribute"]:
            self.faults.append("Attribute: enter a name, such as country.")
        elif not self.faults and (fault := check_conditions([found])):
            self.faults.append(f"Value: {fault.partition(': ')[2] or fault}")
        return found

    def _value(self) -> Any:
        if self.operator in LISTS:
            return [self._typed(part) for part in _parts(self.value)]
        if self.operator == "exists":
            return self._boolean(self.value or "yes")
        if self.operator not in _TYPED:
            return self.value.strip()
        return self._typed(self.value)

    def _typed(self, text: str) -> Any:
        return _READ[self.type if self.type in _READ else TEXT](self, text.strip())

    def _boolean(self, text: str) -> bool:
        if text.strip().lower() not in (*_YES, *_NO):
            self.faults.append("Value: write yes or no.")
        return text.strip().lower() in _YES

    def _number(self, text: str) -> Any:
        try:
            found = Decimal(text)
        except InvalidOperation:
            self.faults.append(f"Value: “{text}” is not a number.")
            return 0
        return int(found) if found == found.to_integral_value() else float(found)


_TYPED = ("equals", "not_equals", "gt", "gte", "lt", "lte", "contains", "not_contains")
_READ: Mapping[str, Callable[[ConditionRow, str], Any]] = {
    TEXT: lambda row, text: text,
    NUMBER: ConditionRow._number,
    BOOLEAN: ConditionRow._boolean,
}


class RuleForm(Section):
    """A new rule, or an edited one."""

    key = "rule"

    name = forms.CharField(
        label="Name",
        max_length=100,
        required=False,
        widget=forms.TextInput({"placeholder": "Customers in Scandinavia"}),
    )
    variant = forms.ChoiceField(label="Variant", required=False)
    share = PercentField(
        label="Share of the matching users, in percent",
        required=False,
        placeholder="all",
        help_text="The next rule decides for the others. Empty: all of them.",
    )
    enabled = forms.BooleanField(label="Switched on", required=False)

    def __init__(
        self, flag: Flag, data: Any = None, *, rule: Rule | None = None
    ) -> None:
        self.rule = rule
        super().__init__(flag, data, _initial_values(rule))
        plain = flag.kind == FlagKind.BOOLEAN and not flag.allocation
        empty = "on" if plain else "By the weights"
        choices = variant_choices(flag, empty)
        self.fields["variant"].choices = choices
        self.rows = list(self._rows())

    def _rows(self) -> Iterator[ConditionRow]:
        if self.is_bound:
            columns = [self.data.getlist(f"when_{name}") for name in _COLUMNS]
            for cells in zip(*columns, strict=False):
                row = ConditionRow(*cells)
                if row.attribute.strip() or row.value.strip():
                    yield row
        elif self.rule is not None:
            yield from map(_row, self.rule.conditions)
        else:
            yield ConditionRow()

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        given["conditions"] = [row.condition() for row in self.rows]
        if any(row.faults for row in self.rows):
            raise ValidationError("See the messages in red beside the conditions.")
        return given

    def document(self) -> dict[str, Any]:
        given = self.cleaned_data
        share = given.get("share")
        return {
            "name": given.get("name", "").strip(),
            "conditions": given["conditions"],
            "variant": given.get("variant", ""),
            "share": None if share is None else hundredths(share),
            "enabled": given.get("enabled", True),
        }

    def sentence(self) -> str:
        """The rule as a sentence; empty if its conditions are not valid."""
        self.is_valid()
        return words.rule(self.document()) if "conditions" in self.cleaned_data else ""

    def apply(self, actor: FlagActor) -> str:
        if self.rule is None:
            services.add_rule(self.flag, self.document(), **self.why(actor))
            return "The rule is added as the last one. Move it up if it should decide first."
        services.edit_rule(self.flag, self.rule, self.document(), **self.why(actor))
        return "The rule is saved."


class OrderForm(Section):
    """The order of the rules: the first that matches decides."""

    key = "rules"

    def apply(self, actor: FlagActor) -> str:
        given = self.data.getlist("order")
        if not all(one.isdecimal() for one in given):
            raise ValidationError("Reload the page: a rule was removed.")
        order = [int(one) for one in given]
        services.reorder_rules(self.flag, order, **self.why(actor))
        return "The order is saved."


def _initial_values(rule: Rule | None) -> dict[str, Any]:
    if rule is None:
        return {"enabled": True}
    share = "" if rule.share is None else f"{rule.share / 100:g}"
    plain = {"name": rule.name, "variant": rule.variant, "enabled": rule.enabled}
    return {**plain, "share": share}


def _parts(text: str) -> list[str]:
    """The values: one per line, or separated by commas if there is one line."""
    found = text.splitlines() if "\n" in text else text.split(",")
    return [part.strip() for part in found if part.strip()]


def _row(one: Mapping[str, Any]) -> ConditionRow:
    value = one["value"]
    some = value if isinstance(value, list) else [value]
    kinds = {_kind(each) for each in some}
    row = ConditionRow(one["attribute"], one["operator"], min(kinds, default=TEXT))
    if len(kinds) > 1:
        row.type = TEXT
        row.faults.append(
            "Value: texts are mixed with other types. Saved here, all become text."
        )
    texts = [_operand_text(each) for each in some]
    if isinstance(value, list) and any("," in text for text in texts):
        row.value = "".join(f"{text}\n" for text in texts)
    else:
        row.value = ", ".join(texts)
    return row


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return BOOLEAN
    return NUMBER if isinstance(value, int | float) else TEXT


def _operand_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
