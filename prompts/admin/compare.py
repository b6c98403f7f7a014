"""The page that shows two versions of a prompt side by side."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern

from prompts.admin import diff
from prompts.admin.status import HEAVY
from prompts.models import Prompt, PromptVersion
from prompts.rendering.label_names import PRODUCTION

# Offered for choice; older ones by their number in the address.
MOST = 200


class CompareMixin:
    """For the admin of prompts."""

    one: Any
    page: Any
    route: Any

    def compare_urls(self) -> list[URLPattern]:
        return [
            self.route(
                "<path:object_id>/compare/", self.compare_view, "prompts_prompt_compare"
            )
        ]

    def compare_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """`?left=3&right=5`; without them the live version and the newest."""
        prompt = self.one(request, object_id, "view")
        choices = list(prompt.versions.defer(*HEAVY).order_by("-number")[:MOST])
        left, right = _asked(request, prompt, choices)
        found = diff.sections(left, right) if left and right else []
        answer: HttpResponse = self.page(
            request,
            "admin/prompts/prompt/compare.html",
            title="Compare versions",
            original=prompt,
            prompt=prompt,
            choices=choices,
            left=left,
            right=right,
            changed=[one for one in found if one.changed],
            same=[one for one in found if not one.changed],
            is_fullwidth="1",
        )
        return answer


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
    """With its words. Raises Http404."""
    text = str(number)
    if text.isdecimal() and len(text) < 10:
        found: PromptVersion | None = prompt.versions.filter(number=int(text)).first()
        if found is not None:
            return found
    raise Http404(f"{prompt.key} has no version {number}.")
