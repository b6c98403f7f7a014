"""The history of all prompts: read-only."""

from django.contrib import admin
from django.http import HttpRequest

from prompts.admin.words import particulars, sentence
from prompts.models import PromptEvent
from valuecanvas.core.admin.bases import display
from valuecanvas.core.admin.columns import link
from valuecanvas.core.admin.history import EventAdmin


@admin.register(PromptEvent)
class PromptEventAdmin(EventAdmin):
    sentence = staticmethod(sentence)
    list_select_related = ("prompt",)
    search_fields = ("=prompt__key", "=actor_name")
    search_help_text = "A whole key of a prompt, or the whole name of a person."
    empty_text = "Every change of a prompt is listed here, with who made it and why."

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        # The prompt's own page links here.
        return lookup == "prompt" or super().lookup_allowed(lookup, value, request)

    @display(description="Prompt")
    def subject(self, event: PromptEvent) -> str:
        return link("prompts_prompt", event.prompt_id, event.prompt)

    @display(description="More")
    def more(self, event: PromptEvent) -> str:
        return particulars(event.details) or "–"
