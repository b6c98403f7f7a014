"""Pages that move labels: publish, roll back. They ask for a reason."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse

from prompts import services
from prompts.admin import diff
from prompts.admin.compare import version_of
from prompts.admin.included import newly_needed
from prompts.admin.publish_page import PublishPage
from prompts.admin.status import status
from prompts.models import PromptVersion
from prompts.rendering.label_names import PRODUCTION, STAGING
from prompts.services.label import check_name, find_label
from valuecanvas.core.admin.pages import renew
from valuecanvas.core.errors import Conflict


class LabelPage(PublishPage):
    """Shows what would change, and after a conflict who changed it first."""

    shows_conflict = True
    label: str = PRODUCTION
    version: Any = None

    def current(self) -> PromptVersion | None:
        """The version that the label points at now."""
        label = find_label(self.original, self.label)
        return label.version if label else None

    def expected_version(self) -> int | None:
        current = self.current()
        return current.number if current else None

    def ask(self, form: Any, conflict: Conflict | None = None) -> HttpResponse:
        if form.is_bound:
            # The page shows the current state, whatever the error.
            renew(form, self.expected_version())
        return super().ask(form, conflict)

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        rows = self.original.events.filter(label=self.label, to_version__isnull=False)
        return {
            "version": self.version,
            "label": self.label,
            "moved": rows.first(),
            "may": services.may_move(self.actor, self.label),
            "now": status(self.original),
            "conflict": conflict,
            **_difference(self.current(), self.version),
        }


class MovePage(LabelPage):
    """`?version=9&label=production`: GET shows what changes, POST moves."""

    name = "move"
    template = "admin/prompts/prompt/move.html"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        asked = self.request.GET
        self.version = version_of(self.original, asked.get("version", ""))
        self.label = _name(asked.get("label") or PRODUCTION)
        self.title = f"Move {self.label}"
        if self.label == PRODUCTION:
            self.title = f"Publish version {self.version.number}"

    def act(self, form: Any) -> str:
        services.move_label(
            self.original,
            self.label,
            self.version,
            expected=form.cleaned_data["expected"],
            **self.why(form),
        )
        return _moved(self.label, self.version.number)

    def log(self, message: str) -> str:
        return f"Moved {self.label} to version {self.version.number}."

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        others = self.original.labels.values_list("name", flat=True)
        names = [PRODUCTION, STAGING, *others, self.label]
        return {
            **super().context(conflict),
            "publish": self.label == PRODUCTION,
            "names": list(dict.fromkeys(names)),
        }


class RollbackPage(LabelPage):
    """GET shows the version to return to, POST rolls production back to it."""

    name = "rollback"
    template = "admin/prompts/prompt/rollback.html"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        number = self.request.GET.get("to") or status(self.original).previous
        self.version = version_of(self.original, number) if number else None
        self.title = "Roll back"
        if self.version:
            self.title = f"Roll back to version {self.version.number}"

    def nothing_to_do(self) -> bool:
        return self.version is None

    def act(self, form: Any) -> str:
        number = self.version.number
        services.rollback(
            self.original,
            to=number,
            expected=form.cleaned_data["expected"],
            **self.why(form),
        )
        return f"Rolled back: version {number} is live from the next request on."

    def log(self, message: str) -> str:
        return f"Rolled back to version {self.version.number}."


def _name(text: str) -> str:
    """The name of a label that can be moved. Raises Http404."""
    name = text.strip()
    try:
        check_name(name)
    except ValidationError as error:
        raise Http404(error.messages[0]) from error
    return name


def _difference(old: PromptVersion | None, new: PromptVersion | None) -> dict[str, Any]:
    if old is None or new is None or old.pk == new.pk:
        return {"current": old, "sections": [], "needed": []}
    old = version_of(new.prompt, old.number)  # with its text
    return {
        "current": old,
        "sections": [one for one in diff.sections(old, new) if one.changed],
        "needed": newly_needed(old, new),
    }


def _moved(name: str, number: int) -> str:
    if name == PRODUCTION:
        return f"Version {number} is live from the next request on."
    return f"“{name}” is version {number} from the next request on."
