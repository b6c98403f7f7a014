"""The endpoint that renders a prompt without calling a model."""

from typing import Any

from prompts.api import request_bodies, response_bodies
from prompts.api.access import READ, PromptEndpoint, prompt_operation
from prompts.config import experiments_by_prompt, load_experiments
from prompts.models import Prompt
from prompts.rendering import render
from prompts.rendering.label_names import PRODUCTION
from prompts.rendering.render import ChosenVersion, PromptLibrary
from prompts.services.composition import StoredPrompts
from valuecanvas.core.errors import GatewayError


def library_for(prompt: Prompt) -> PromptLibrary:
    """The committed prompts, each loaded on first use."""
    ids = map(str, prompt.experiments.values_list("pk", flat=True))
    return PromptLibrary(StoredPrompts(), experiments_by_prompt(load_experiments(ids)))


class Compile(PromptEndpoint):
    """Renders the text with variables and included prompts; costs nothing."""

    @prompt_operation(
        "compilePrompt",
        "Render a prompt without calling a model",
        READ,
        body=request_bodies.GivenCompile,
        answer=response_bodies.ShownCompiled,
    )
    def post(self, asked: dict[str, Any]) -> dict[str, Any]:
        key = self.prompt.key
        library = library_for(self.prompt)
        try:
            chosen = _chosen(library, key, asked)
            rendered = render.render(library, chosen, asked.get("variables", {}))
        except GatewayError as error:
            # In a request to a model the fields are in `prompt`.
            error.param = (error.param or "").removeprefix("prompt.") or None
            raise
        return {
            "key": key,
            "version": chosen.number,
            "label": chosen.label,
            "variant": chosen.variant,
            "text": rendered.text,
            "messages": rendered.messages,
            "model": rendered.model,
            "parameters": rendered.parameters,
        }


def _chosen(library: PromptLibrary, key: str, asked: dict[str, Any]) -> ChosenVersion:
    user, label = asked.get("user"), asked.get("label")
    version = asked.get("version")
    if user is None and version is None:
        prompt = render.find(library, key)
        name = label or PRODUCTION
        return ChosenVersion(prompt, render.version_of_label(prompt, name), name)
    return render.choose(
        library,
        key,
        version=version,
        label=label,
        subject=user or "",
        context={**asked.get("context", {}), "user": user},
    )
