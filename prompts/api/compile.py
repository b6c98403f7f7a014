"""Rendering without calling: what a request with this prompt would be sent as."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from prompts.api import access, given, shown
from prompts.api.prompts import TAGS
from prompts.config import ExperimentFacts, experiments_by_prompt, load_experiments
from prompts.models import Experiment, Prompt
from prompts.models.experiment import ExperimentState
from prompts.models.label import PRODUCTION
from prompts.rendering import render
from prompts.rendering.render import Chosen, Library
from prompts.services.composition import Stored
from valuecanvas.core.api.access import Access
from valuecanvas.core.api.schema import answers
from valuecanvas.core.errors import GatewayError


def library_for(prompt: Prompt) -> Library:
    """The prompts as committed now, each read when it is asked for."""
    return Library(Stored(), _running(prompt))


def _running(prompt: Prompt) -> dict[str, ExperimentFacts]:
    rows = Experiment.objects.filter(prompt=prompt, state=ExperimentState.RUNNING)
    ids = [str(pk) for pk in rows.values_list("pk", flat=True)]
    return experiments_by_prompt(load_experiments(ids))


@extend_schema_view(
    post=extend_schema(
        operation_id="compilePrompt",
        summary="Render a prompt without calling a model",
        request=given.GivenCompile,
        responses=answers(shown.ShownCompiled, 400, 404),
        tags=TAGS,
    )
)
class Compile(APIView):
    """The words with variables and included prompts put in; costs nothing."""

    permission_classes = [Access]
    needs = {"POST": access.READ}

    def post(self, request: Request, key: str) -> Response:
        body = given.GivenCompile(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        library = library_for(access.prompt(key))
        try:
            chosen = _chosen(library, key, asked)
            rendered = render.render(library, chosen, asked.get("variables", {}))
        except GatewayError as error:
            # In a request to a model they stand within `prompt`.
            error.param = (error.param or "").removeprefix("prompt.") or None
            raise
        return Response(
            {
                "key": key,
                "version": chosen.number,
                "label": chosen.label,
                "variant": chosen.variant,
                "text": rendered.text,
                "messages": rendered.messages,
                "model": rendered.model,
                "parameters": rendered.parameters,
            }
        )


def _chosen(library: Library, key: str, asked: dict[str, Any]) -> Chosen:
    user, label = asked.get("user"), asked.get("label")
    version = asked.get("version")
    if user is None and version is None:
        prompt = render.find(library, key)
        name = label or PRODUCTION
        return Chosen(prompt, render.labelled(prompt, name), name)
    return render.choose(
        library,
        key,
        version=version,
        label=label,
        subject=user or "",
        context={**asked.get("context", {}), "user": user},
    )
