"""The base of forms on a flag's page, each saved alone, and of pages with one form."""

from typing import Any, ClassVar

from django import forms
from django.http import HttpResponse

from flags.actor import FlagActor
from flags.admin.rights import request_actor
from flags.admin.status import winner
from flags.models import Flag
from valuecanvas.core.admin.pages import ConfirmPage, ReasonForm
from valuecanvas.core.errors import Conflict


class Section(ReasonForm):
    """A form saved by `apply`, unless the flag was changed since the page was opened."""

    # The name of the form on its page.
    key: ClassVar[str] = "decide"
    # The section of the page to return to; empty: `key`.
    anchor: ClassVar[str] = ""
    # The fields that the flag has under the same name, as they are.
    plain: ClassVar[tuple[str, ...]] = ()
    data: Any

    reason = forms.CharField(
        label="Why",
        max_length=2000,
        widget=forms.TextInput({"placeholder": "Kept in the history"}),
        error_messages={"required": "Give a reason: it is kept in the history."},
    )

    def __init__(self, flag: Flag, data: Any = None, initial: Any = None) -> None:
        first = {"expected": flag.revision, **self.initial_values(flag)}
        super().__init__(
            data, initial=first | (initial or {}), auto_id=f"id_{self.key}_%s"
        )
        self.flag = flag

    @classmethod
    def initial_values(cls, flag: Flag) -> dict[str, Any]:
        """The first values of the fields."""
        return {name: getattr(flag, name) for name in cls.plain}

    def plain_values(self) -> dict[str, Any]:
        """What was entered in the fields `plain`."""
        return {name: self.cleaned_data[name] for name in self.plain}

    def apply(self, actor: FlagActor) -> str:
        """Save the form; what to tell the operator. Raises Conflict and ValidationError."""
        raise NotImplementedError

    def why(self, actor: FlagActor) -> dict[str, Any]:
        """The arguments of every service: actor, reason, expected revision."""
        return {
            "actor": actor,
            "reason": self.cleaned_data["reason"],
            "expected": self.cleaned_data["expected"],
        }


class FlagPage(ConfirmPage):
    """A page with one form; afterwards it returns to `anchor` on the flag's page."""

    template = "admin/flags/flag/decide.html"
    form_class = Section
    shows_conflict = True
    anchor = "rules"

    @property
    def actor(self) -> FlagActor:
        return request_actor(self.request)

    def expected_version(self) -> int:
        revision: int = self.original.revision
        return revision

    def form(self, data: Any) -> Any:
        return self.form_class(self.original, data)

    def act(self, form: Any) -> str:
        message: str = form.apply(self.actor)
        return message

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        return {"winner": winner(self.original) if conflict else None}

    def finish(self, message: str, **options: Any) -> HttpResponse:
        return super().finish(message, extra_tags=self.anchor, **options)

    def next_url(self) -> str:
        return f"{self.back_url()}#{self.anchor}"
