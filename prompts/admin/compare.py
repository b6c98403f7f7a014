"""The page that shows two versions of a prompt side by side."""

from django.http import Http404, HttpRequest, HttpResponse

from prompts.admin import diff
from prompts.admin.status import HEAVY
from prompts.models import Prompt, PromptVersion
from prompts.rendering.label_names import PRODUCTION
from valuecanvas.core.admin.pages import Page

# Versions to choose from; older ones by their number in the address.
MOST = 200


class ComparePage(Page):
    """Compares `?left=3&right=5`; by default the live version and the newest."""

    name = "compare"
    needs = "view"

    def answer(self) -> HttpResponse:
        prompt: Prompt = self.original
        choices = list(prompt.versions.defer(*HEAVY).order_by("-number")[:MOST])
        left, right = _asked(self.request, prompt, choices)
        found = diff.sections(left, right) if left and right else []
        return self.show(
            "admin/prompts/prompt/compare.html",
            title="Compare versions",
            prompt=prompt,
            choices=choices,
            left=left,
            right=right,
            changed=[one for one in found if one.changed],
            same=[one for one in found if not one.changed],
            is_fullwidth="1",
        )


def _asked(
    request: HttpRequest, prompt: Prompt, choices: list[PromptVersion]
) -> tuple[PromptVersion | None, PromptVersion | None]:
    if not choices:
        return None, None
    numbers = request.GET.get("left"), request.GET.get("right")
    newest = choices[0].number
    live = prompt.labels.filter(name=PRODUCTION).values_list("version__number").first()
    first = live[0] if live else newest
    if first == newest:
        first = choices[1].number if len(choices) > 1 else newest
    return (
        version_of(prompt, numbers[0] or first),
        version_of(prompt, numbers[1] or newest),
    )


def version_of(prompt: Prompt, number: int | str) -> PromptVersion:
    """The version with its text. Raises Http404."""
    text = str(number)
    if text.isdecimal() and len(text) < 10:
        found: PromptVersion | None = prompt.versions.filter(number=int(text)).first()
        if found is not None:
            return found
    raise Http404(f"{prompt.key} has no version {number}.")
