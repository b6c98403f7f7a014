"""Pages that take something away: a label, or a whole prompt out of use."""

from typing import Any

from django.http import Http404

from prompts import services
from prompts.admin.publish_page import PublishPage
from prompts.models import Label


class RemoveLabelPage(PublishPage):
    name = "remove_label"
    verb = "Remove the label"
    danger = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.label = name = self.request.GET.get("label", "")
        if self.expected() is None:
            raise Http404("There is no such label.")
        self.title = f"Remove the label {name}"
        self.text = (
            f"Programs that ask for “{name}” of this prompt get an error from the next "
            "request on. The versions stay."
        )

    def expected(self) -> int | None:
        rows = self.original.labels.select_related("version")
        label: Label | None = rows.filter(name=self.label).first()
        return label.version.number if label else None

    def act(self, form: Any) -> str:
        expected = form.cleaned_data["expected"]
        services.remove_label(
            self.original, self.label, expected=expected, **self.why(form)
        )
        return f"The label {self.label} is gone."

    def log(self, message: str) -> str:
        return f"Removed the label {self.label}."


class PromptArchivePage(PublishPage):
    """Out of use, or into use again."""

    name = "archive"
    needs = "change"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        key = self.original.key
        # Not read again: the service, called by `act`, changes it.
        self.danger = not self.original.archived
        if self.danger:
            self.title, self.verb = f"Archive {key}", "Archive it"
            self.text = (
                "From the next request on, programs that ask for it get an error that "
                "says it is archived. Nothing is deleted: it can be brought back."
            )
        else:
            self.title, self.verb = f"Use {key} again", "Bring it back"
            self.text = "From the next request on, programs get it again as before."

    def act(self, form: Any) -> str:
        services.edit_prompt(self.original, archived=self.danger, **self.why(form))
        return f"{self.original.key} is {self._state}."

    def log(self, message: str) -> str:
        return f"Now {self._state}."

    @property
    def _state(self) -> str:
        return "archived" if self.danger else "in use again"
