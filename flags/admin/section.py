"""A part of a flag's page that is saved by itself: what, why, and what was seen."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

from flags.actor import Actor
from flags.models import Flag


class Section(forms.Form):
    """Saved by `apply`, unless somebody else changed the flag since it was shown."""

    # The name of the form on its page.
    key: ClassVar[str] = ""
    # Of the part of the page to come back to; empty: `key`.
    anchor: ClassVar[str] = ""
    data: Any

    reason = forms.CharField(
        label="Why",
        max_length=2000,
        widget=UnfoldAdminTextInputWidget({"placeholder": "Kept in the history"}),
        error_messages={"required": "Say why: the next reader of the history asks."},
    )
    expected = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, flag: Flag, data: Any = None, initial: Any = None) -> None:
        seen = {"expected": flag.revision, **self.seen(flag), **(initial or {})}
        super().__init__(data, initial=seen, auto_id=f"id_{self.key}_%s")
        self.flag = flag

    @staticmethod
    def seen(flag: Flag) -> dict[str, Any]:
        """What the fields begin with."""
        return {}

    def apply(self, actor: Actor) -> str:
        """Do it, and say so. Raises Conflict and ValidationError."""
        raise NotImplementedError

    def said(self, actor: Actor) -> dict[str, Any]:
        """What every service wants to know."""
        return {
            "actor": actor,
            "reason": self.cleaned_data["reason"],
            "expected": self.cleaned_data["expected"],
        }

    def refuse(self, error: ValidationError) -> None:
        """Show what a service refused beside its field."""
        for name, texts in by_field(error).items():
            self.add_error(name if name in self.fields else None, texts)

    def renew(self, flag: Flag) -> None:
        """Keep what was entered; whoever sends it again has seen `flag` as it is."""
        data = self.data.copy()
        data["expected"] = str(flag.revision)
        self.data = data


def by_field(error: ValidationError) -> Mapping[str, list[str]]:
    """The texts of `error` by the field that they are about."""
    if hasattr(error, "error_dict"):
        found: Mapping[str, list[str]] = error.message_dict
        return found
    return {NON_FIELD_ERRORS: list(error.messages)}


def text_of(error: ValidationError) -> str:
    """What a service refused, in one line."""
    return " ".join(error.messages)


def lines(text: str) -> list[str]:
    """Its parts between commas and line breaks, each once."""
    parts = (part.strip() for part in text.replace("\n", ",").split(","))
    return list(dict.fromkeys(part for part in parts if part))
