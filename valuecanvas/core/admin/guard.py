"""Forms that refuse to undo what somebody else saved, and ask before a stated effect.

A page carries the values that it was opened with. Saving locks the row and compares
them with those of now: a save that would undo a change is refused, and the page shows
the changes and their authors. Sent again, the form is saved over them.
"""

import copy
import hashlib
from typing import Any

from django.db import connection
from django.db.models import Model
from django.forms import ModelForm, PasswordInput
from django.http import HttpRequest, HttpResponse

from valuecanvas.core.admin.bases import SECRETS, Admin
from valuecanvas.core.admin.revision import Difference, Revision

# The page's own fields.
REVISION, CONFIRMED = "revision", "confirmed"
NOT_ENTERED = frozenset(
    {REVISION, CONFIRMED, "csrfmiddlewaretoken", "_save", "_continue", "_addanother"}
)
# By its kind, an effect of saving as a sentence.
Effects = dict[str, str]


class Question(Exception):
    """Saving has effects that the user has not confirmed; the transaction is undone."""

    def __init__(self, effects: Effects) -> None:
        super().__init__(", ".join(effects))
        self.effects = effects


class GuardedAdmin(Admin):
    """The base of forms that govern traffic."""

    change_form_before_template = "admin/guard.html"

    def effects(self, request: HttpRequest, before: Any, after: Any) -> Effects:
        """What saving does at once and its user has to confirm; by kind, as sentences.

        It is called in the transaction in which `after` and its inline rows were just
        saved; `before` is the row as it was, None for a new one.
        """
        return {}

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None and request.method == "POST" and connection.in_atomic_block:
            self._lock(request, row)
            row = super().get_object(request, object_id, from_field)
        if row is not None:
            # A copy: the form writes what was entered into the row.
            vars(request)["saved"] = self._revision(request, copy.copy(row))
        return row

    def _revision(self, request: HttpRequest, row: Model) -> Revision:
        inlines = [one.model for one in self.get_inlines(request, row)]
        return Revision(row, inlines, SECRETS)

    def _lock(self, request: HttpRequest, row: Model) -> None:
        """Of two who save at once, the second waits here and then sees the changes."""
        model = type(row)
        list(model._default_manager.select_for_update().filter(pk=row.pk))
        for rows in self._revision(request, row).inline_rows():
            list(rows.select_for_update())

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Question as question:
            vars(request)["effects"] = question.effects
        return super().changeform_view(request, *args, **kwargs)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm]:
        form = super().get_form(request, obj, change, **kwargs)
        return _guarded(form, request)

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        before = vars(request)["saved"].row if change else None
        effects = self.effects(request, before, form.instance)
        if effects and request.POST.get(CONFIRMED) != _digest(request, effects):
            raise Question(effects)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        found = vars(request)
        form = context["adminform"].form
        saved: Any = found.get("saved")
        if saved and self.has_change_permission(request, saved.row):
            context["revision"] = saved.dump()
        if differences := found.get("differences"):
            context["differences"] = differences
            context["changes"] = saved.changes(request.POST[REVISION])
        elif effects := found.get("effects"):
            context["effects"] = effects.values()
            context["confirmed"] = _digest(request, effects)
        if form.is_bound:
            context["again"] = _secrets(form)
        answer = super().render_change_form(request, context, *args, **kwargs)
        if differences or found.get("effects"):
            answer.status_code = 409 if differences else 422
        return answer


def _guarded(form: type[ModelForm], request: HttpRequest) -> type[ModelForm]:
    # A base that is only known here is no type for mypy.
    class Guarded(form):  # type: ignore[valid-type, misc]
        def is_valid(self) -> bool:
            valid = super().is_valid()
            found = vars(request)
            found["differences"] = _differences(self, request)
            return valid and not found["differences"] and not found.get("effects")

    return Guarded


def _differences(form: Any, request: HttpRequest) -> list[Difference]:
    # Without the field the form is not from our page: a program's, which saw no values.
    opened = request.POST.get(REVISION)
    saved: Revision | None = vars(request).get("saved")
    return saved.compare(opened, form) if opened and saved else []


def _digest(request: HttpRequest, effects: Effects) -> str:
    """Names the effects and the input: other input, or a further effect, asks anew."""
    entered = [one for one in request.POST.lists() if one[0] not in NOT_ENTERED]
    text = repr((sorted(effects), sorted(entered)))
    return hashlib.sha256(text.encode()).hexdigest()


def _secrets(form: Any) -> list[str]:
    """The labels of secrets that were entered: a page never repeats them."""
    return [
        str(one.label)
        for one in form
        if isinstance(one.field.widget, PasswordInput) and one.data
    ]
