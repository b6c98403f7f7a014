"""Saving in the admin that is refused after the form was checked: told in the form."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError
from django.forms import ModelForm
from django.http import HttpRequest

from valuecanvas.core.errors import Conflict, NotPermitted

REFUSALS = (ValidationError, Conflict, NotPermitted, IntegrityError)
FASTER = (
    "Nothing is saved: somebody else has saved the same, or removed what this needs, "
    "at this moment. Look at what is there now, and try again."
)


class RefusalsMixin:
    """For an admin whose saving may raise one of REFUSALS.

    The form is checked a second time, after what was begun is rolled back: it finds by
    itself what somebody else took meanwhile, and is told all else.
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
            _remember(request, error)
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
        refused: Mapping[str, list[str]] | None = vars(request).get("refused")
        return form if refused is None else _refused(form, refused)


def _remember(request: HttpRequest, error: Exception) -> None:
    vars(request)["refused"] = _by_field(error)


def _by_field(error: Exception) -> Mapping[str, list[str]]:
    if isinstance(error, ValidationError):
        if hasattr(error, "error_dict"):
            found: Mapping[str, list[str]] = error.message_dict
            return found
        return {NON_FIELD_ERRORS: list(error.messages)}
    if isinstance(error, IntegrityError):
        return {NON_FIELD_ERRORS: [FASTER]}
    return {NON_FIELD_ERRORS: [str(getattr(error, "message", error))]}


def _refused(
    form: type[ModelForm], refused: Mapping[str, list[str]]
) -> type[ModelForm]:
    class Refused(form):  # type: ignore[valid-type, misc]
        def full_clean(self) -> None:
            super().full_clean()
            if not self.is_bound or self.errors:
                return
            for name, texts in refused.items():
                self.add_error(name if name in self.fields else None, texts)

    return Refused
