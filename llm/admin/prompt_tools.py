"""Parts of a prompt's page that need models, prices and the ledger."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_GET

from llm.admin import prompt_cost, prompt_usage
from llm.admin.prompt_try import TryMixin
from llm.models import Model
from prompts.admin import preview
from prompts.admin.rights import VIEW
from prompts.admin.version_form import VersionForm
from prompts.models import Prompt
from valuecanvas.core.admin.pages import post_only, refuse_unless

LEDGER = "billing.view_usage"
MOST_MODELS = 300


class PromptToolsMixin(TryMixin):
    """Views of fragments, for the admin of models."""

    route: Any

    def prompt_urls(self) -> list[URLPattern]:
        return [
            self.route(
                "prompts/models/",
                require_GET(self.prompt_models_view),
                "llm_prompt_models",
            ),
            self.route(
                "prompts/<int:prompt_id>/estimate/",
                post_only(self.prompt_estimate_view, "prompts_prompt_change"),
                "llm_prompt_estimate",
            ),
            self.route(
                "prompts/<int:prompt_id>/usage/",
                require_GET(self.prompt_usage_view),
                "llm_prompt_usage",
            ),
            self.route(
                "prompts/<int:prompt_id>/try/", self.prompt_try_view, "llm_prompt_try"
            ),
        ]

    def prompt_models_view(self, request: HttpRequest) -> HttpResponse:
        """The names of chat models, as options to choose from."""
        refuse_unless(request, VIEW)
        chat = Model.objects.filter(enabled=True, kind=Model.Kind.CHAT)
        names = chat.values_list("name", flat=True)[:MOST_MODELS]
        return HttpResponse(
            format_html_join("", '<option value="{}">', ((name,) for name in names))
        )

    def prompt_estimate_view(
        self, request: HttpRequest, prompt_id: int
    ) -> HttpResponse:
        """A fragment: the cost of a request with the text in the editor."""
        refuse_unless(request, VIEW)
        prompt = get_object_or_404(Prompt, pk=prompt_id)
        form = VersionForm(prompt, request.POST)
        words = [message.text for message in preview.show(form).messages]
        cost = prompt_cost.estimate(
            words,
            model=(form["model"].value() or "").strip(),
            longest=form["max_tokens"].value(),
        )
        return render(request, "admin/llm/prompt/estimate.html", {"cost": cost})

    def prompt_usage_view(self, request: HttpRequest, prompt_id: int) -> HttpResponse:
        """A fragment: usage by version, as figures and a chart."""
        refuse_unless(request, VIEW)
        if not request.user.has_perm(LEDGER):
            return HttpResponse(
                format_html(
                    '<p class="vc-text">{}</p>',
                    "Your account has no right to see requests. Ask a superuser.",
                )
            )
        prompt = get_object_or_404(Prompt, pk=prompt_id)
        usage = prompt_usage.usage(prompt.key, request.GET.get("span", ""))
        found = {"prompt": prompt, "usage": usage}
        return render(request, "admin/llm/prompt/usage.html", found)
