"""Gives every form field a name for screen readers, also without a visible label."""

from typing import Any

from django.forms import (
    BoundField,
    MultiWidget,
    RadioSelect,
    SplitDateTimeWidget,
    Widget,
)
from django.forms.renderers import DjangoTemplates

_PARTS = ("date", "time")
# Their options have labels of their own.
_NAMED_INSIDE = (MultiWidget, RadioSelect)


class NamedBoundField(BoundField):
    """A field whose widget has an `aria-label`, for fields in table rows without a label."""

    def build_widget_attrs(
        self, attrs: dict[str, Any], widget: Widget | None = None
    ) -> dict[str, Any]:
        found = super().build_widget_attrs(attrs, widget)
        widget = widget or self.field.widget
        if isinstance(widget, SplitDateTimeWidget):
            for part, name in zip(widget.widgets, _PARTS, strict=True):
                part.attrs.setdefault("aria-label", f"{self._name(widget)}, {name}")
        elif not isinstance(widget, _NAMED_INSIDE) and not widget.is_hidden:
            found.setdefault("aria-label", self._name(widget))
        return found

    def _name(self, widget: Widget) -> str:
        return str(self.label or widget.attrs.get("placeholder") or self.name)


class Renderer(DjangoTemplates):
    """Django's own, with named fields."""

    bound_field_class = NamedBoundField
