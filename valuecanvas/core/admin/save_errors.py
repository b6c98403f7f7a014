"""Shows errors that saving in the admin raises after validation in the form."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.forms import ModelForm
from django.http import HttpRequest

from valuecanvas.core.admin.pages import refuse
from valuecanvas.core.errors import Conflict, NotPermitted

REFUSALS = (ValidationError, Conflict, NotPermitted, IntegrityError)
FASTER = (
    "Nothing was saved: somebody else saved the same, or deleted something that this "
    "needs, at the same time. Look at the current state and try again."
)


class RefusalsMixin:
    """For an admin whose saving may raise one of REFUSALS.

    The form is validated a second time, after the rollback: it finds by itself what
    somebody else saved meanwhile; all other errors are added to it.
    """

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return self._changeform(request, object_id, form_url, extra_context)
        except REFUSALS as error:
            taken = isinstance(error, IntegrityError)
            vars(request)["refused"] = ValidationError(FASTER) if taken else error
        return self._changeform(request, object_id, form_url, extra_context)

    def _changeform(self, *args: Any) -> Any:
        # Unfold's admin, which this stands before, has no types.
        return super().changeform_view(*args)  # type: ignore[misc]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm]:
        form: type[ModelForm] = super().get_form(  # type: ignore[misc]
            request, obj, change=change, **kwargs
        )
        # For forms that look at the user's rights.
        form.user = request.user  # type: ignore[attr-defined]
        refused: Exception | None = vars(request).get("refused")
        return form if refused is None else _with_error(form, refused)


def _with_error(form: type[ModelForm], refused: Exception) -> type[ModelForm]:
    class Refused(form):  # type: ignore[valid-type, misc]
        def full_clean(self) -> None:
            super().full_clean()
            if self.is_bound and not self.errors:
                refuse(self, refused)

    return Refused
