"""Forms with the console's widgets, and fields that several forms share."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

# Django's widget -> the console's.
_WIDGETS: Mapping[type[forms.Widget], type[forms.Widget]] = {
    forms.CheckboxInput: UnfoldBooleanWidget,
    forms.CheckboxSelectMultiple: UnfoldAdminCheckboxSelectMultipleWidget,
    forms.DateInput: UnfoldAdminSingleDateWidget,
    forms.NumberInput: UnfoldAdminDecimalFieldWidget,
    forms.Select: UnfoldAdminSelectWidget,
    forms.TextInput: UnfoldAdminTextInputWidget,
    forms.Textarea: UnfoldAdminTextareaWidget,
}


class ConsoleFields:
    """A form mixin that replaces Django's widgets with the console's."""

    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            made = _WIDGETS.get(type(field.widget))
            if made is not None:
                field.widget = _make_widget(made, field)


def _make_widget(made: type[forms.Widget], field: Any) -> forms.Widget:
    widget = made(dict(field.widget.attrs))
    widget.is_required = field.required
    if hasattr(field, "choices"):
        widget.choices = field.choices  # type: ignore[attr-defined]
    return widget


class ConsoleForm(ConsoleFields, forms.Form):
    """A form without a model."""


class PercentField(forms.DecimalField):
    """0 to 100, with two decimals."""

    def __init__(
        self, *, step: str = "any", placeholder: str = "", **options: Any
    ) -> None:
        attrs = {"step": step, **({"placeholder": placeholder} if placeholder else {})}
        super().__init__(
            min_value=0,
            max_value=100,
            decimal_places=2,
            widget=forms.NumberInput(attrs),
            **options,
        )


def hundredths(percent: Decimal) -> int:
    """A percentage as services take it: 100 is 1 %."""
    return int(percent * 100)


class NamesField(forms.CharField):
    """A list of names, separated by commas or lines."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        text = str(value or "").replace("\n", ",")
        names = value if isinstance(value, list) else text.split(",")
        return list(dict.fromkeys(name.strip() for name in names if name.strip()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial or []) != self.to_python(data))
