"""Pages that remove a label, or archive a prompt."""

from typing import Any

from django.http import Http404

from prompts import services
from prompts.admin.publish_page import PublishPage
from prompts.services.label import find_label


class RemoveLabelPage(PublishPage):
    name = "remove_label"
    verb = "Remove the label"
    danger = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.label = name = self.request.GET.get("label", "")
        if self.expected_version() is None:
            raise Http404("There is no such label.")
        self.title = f"Remove the label {name}"
        self.text = (
            f"From the next request on, programs that request “{name}” of this prompt get an "
            "error. The versions stay."
        )

    def expected_version(self) -> int | None:
        label = find_label(self.original, self.label)
        return label.version.number if label else None

    def act(self, form: Any) -> str:
        expected = form.cleaned_data["expected"]
        services.remove_label(
            self.original, self.label, expected=expected, **self.why(form)
        )
        return f"The label {self.label} is removed."

    def log(self, message: str) -> str:
        return f"Removed the label {self.label}."


class PromptArchivePage(PublishPage):
    """Archives a prompt, or restores it."""

    name = "archive"
    needs = "change"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        key = self.original.key
        # Read once: the service that `act` calls changes it.
        self.danger = not self.original.archived
        if self.danger:
            self.title, self.verb = f"Archive {key}", "Archive"
            self.text = (
                "From the next request on, programs that request it get an error that "
                "says it is archived. Nothing is deleted: it can be restored."
            )
        else:
            self.title, self.verb = f"Restore {key}", "Restore"
            self.text = "From the next request on, programs get it again as before."

    def act(self, form: Any) -> str:
        services.edit_prompt(self.original, archived=self.danger, **self.why(form))
        return f"{self.original.key} is {self._state}."

    def log(self, message: str) -> str:
        return f"Now {self._state}."

    @property
    def _state(self) -> str:
        return "archived" if self.danger else "restored"
