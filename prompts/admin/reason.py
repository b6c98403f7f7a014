"""The form of every decision: why it is made."""

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from valuecanvas.core.errors import Conflict, NotPermitted

REFUSALS = (Conflict, NotPermitted, ValidationError)


class ReasonForm(forms.Form):
    """Why, and what the operator saw when deciding."""

    reason = forms.CharField(
        max_length=2000,
        widget=UnfoldAdminTextareaWidget({"rows": 2, "autofocus": True}),
        help_text="Kept in the history, with your name.",
        error_messages={"required": "Say why: the next reader of the history asks."},
    )
    expected = forms.IntegerField(required=False, widget=forms.HiddenInput)


def told(error: ValidationError | Conflict | NotPermitted) -> str:
    """What a service refused, in words."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    return error.message
