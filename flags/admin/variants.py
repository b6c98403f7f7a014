"""The variants of a flag, as rows of a form: values, weights, effects."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from flags import services
from flags.actor import FlagActor
from flags.admin.forms import variant_choices
from flags.admin.section import Section
from flags.documents.validation import check_value
from flags.models import Flag, FlagKind
from valuecanvas.core.targeting.bucketing import BUCKETS

_COLUMNS = ("name", "value", "weight", "label", "model", "parameters", "description")


@dataclass(slots=True)
class VariantRow:
    """One variant as entered."""

    name: str = ""
    value: str = ""
    weight: str = "0"
    label: str = ""
    model: str = ""
    parameters: str = ""
    description: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def has_effect(self) -> bool:
        return bool(self.label or self.model or self.parameters)

    def document(self, kind: str) -> dict[str, Any]:
        """The variant for the services; errors go into `faults`."""
        found = {
            "name": self.name.strip(),
            "value": self._value(kind),
            "weight": self._weight(),
            "effect": self._effect(),
            "description": self.description.strip(),
        }
        if not found["name"]:
            self.faults.append("Name: enter a name, such as blue.")
        return found

    def _value(self, kind: str) -> Any:
        if kind == FlagKind.STRING:
            return self.value
        if kind == FlagKind.BOOLEAN:
            return self.value == "true"
        found = self._json("Value", self.value)
        if found is not None and (fault := check_value(kind, found)):
            self.faults.append(f"Value: {fault}")
        return found

    def _weight(self) -> int:
        try:
            found = Decimal(self.weight.strip() or "0")
        except InvalidOperation:
            found = Decimal(-1)
        if not 0 <= found <= 100 or found != round(found, 2):
            self.faults.append("Weight: enter a percentage from 0 to 100, as in 12.5.")
            return 0
        return int(found * 100)

    def _effect(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.label.strip():
            found["prompt_label"] = self.label.strip()
        if self.model.strip():
            found["model"] = self.model.strip()
        if self.parameters.strip():
            found["parameters"] = self._json("Parameters", self.parameters)
        return found

    def _json(self, title: str, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            self.faults.append(f"{title}: this is not JSON, as in 5 or {{“a”: 1}}.")
            return None


class VariantsForm(Section):
    """All variants at once: their weights must add up to 100 %."""

    key = "variants"
    plain = ("default_variant", "off_variant")

    default_variant = forms.ChoiceField(
        label="Default variant (users outside rules and percentage)",
        required=False,
    )
    off_variant = forms.ChoiceField(
        label="Off variant (everybody, while the flag is off or killed)",
        required=False,
    )

    def __init__(self, flag: Flag, data: Any = None, initial: Any = None) -> None:
        super().__init__(flag, data, initial)
        self.rows = list(self._rows())
        empty = "off" if flag.kind == FlagKind.BOOLEAN else "The program's own default"
        known = variant_choices(flag, empty)
        names = {name for name, _ in known}
        extra = [(row.name, row.name) for row in self.rows if row.name not in names]
        for name in self.plain:
            self.fields[name].choices = [*known, *extra]

    def _rows(self) -> Iterator[VariantRow]:
        if not self.is_bound:
            yield from (_row(one) for one in self.flag.variants.order_by("pk"))
            return
        columns = [self.data.getlist(f"variant_{name}") for name in _COLUMNS]
        for cells in zip(*columns, strict=False):
            row = VariantRow(*cells)
            if row.name.strip() or row.value.strip() not in ("", "true", "false"):
                yield row

    @property
    def total(self) -> Decimal:
        """The sum of the weights in percent; what is not a number counts as 0."""
        found = Decimal(0)
        for row in self.rows:
            try:
                found += Decimal(row.weight or "0")
            except InvalidOperation:
                continue
        return found

    def clean(self) -> dict[str, Any]:
        rows = [row.document(self.flag.kind) for row in self.rows]
        self.cleaned_data["variants"] = rows
        if any(row.faults for row in self.rows):
            raise ValidationError("See the messages in red beside the variants.")
        total = sum(row["weight"] for row in rows)
        if total not in (0, BUCKETS):
            raise ValidationError(
                f"The weights add up to {total / 100:g} %; they must add up to 100 %. "
                "(Or to 0, if only rules give the variants.)"
            )
        return self.cleaned_data

    def apply(self, actor: FlagActor) -> str:
        before, ends = list(self.flag.variants.order_by("pk")), self.plain_values()
        rows, why = self.cleaned_data["variants"], self.why(actor)
        if any(getattr(self.flag, name) != found for name, found in ends.items()):
            services.edit_flag(self.flag, {"variants": rows, **ends}, **why)
        elif [_unweighted(row) for row in rows] == [_known(one) for one in before]:
            weights = {row["name"]: row["weight"] for row in rows}
            services.set_weights(self.flag, weights, **why)
        else:
            services.set_variants(self.flag, rows, **why)
        return "The variants are saved."


def _row(one: Any) -> VariantRow:
    effect = one.effect
    given = effect.get("parameters")
    value = one.value if isinstance(one.value, str) else json.dumps(one.value)
    return VariantRow(
        name=one.name,
        value=value,
        weight=f"{one.weight / 100:g}",
        label=effect.get("prompt_label", ""),
        model=effect.get("model", ""),
        parameters=json.dumps(given) if given else "",
        description=one.description,
    )


def _known(one: Any) -> dict[str, Any]:
    names = ("name", "value", "effect", "description")
    return {name: getattr(one, name) for name in names}


def _unweighted(row: dict[str, Any]) -> dict[str, Any]:
    return {name: found for name, found in row.items() if name != "weight"}
