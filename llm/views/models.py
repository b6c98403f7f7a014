"""Which models this key may use."""

from typing import Any

import orjson
from django.core.handlers.asgi import ASGIRequest
from drf_spectacular.utils import extend_schema

from llm.configuration.model_facts import ModelFacts
from llm.configuration.snapshot import Snapshot
from llm.replies.http_responses import HotResponse, json_response
from llm.resolve.plan import may_use
from llm.views import openai_shapes as shapes
from llm.views.base import HotView, bare_call, runtime
from valuecanvas.core.api.openapi_schema import answers
from valuecanvas.core.errors import NotFound


def _shown(model: ModelFacts, snapshot: Snapshot) -> dict[str, Any]:
    routes = snapshot.routes.get(model.name, ())
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": routes[0].provider if routes else "",
    }


async def _usable(request: ASGIRequest) -> list[dict[str, Any]]:
    """Enabled models with a route that the caller may use, by name."""
    gateway = runtime(request)
    snapshot = await gateway.committed.latest()
    principal = await gateway.authentication.identify(bare_call(request, "models"))
    return [
        _shown(model, snapshot)
        for name, model in sorted(snapshot.models.items())
        if model.enabled and may_use(principal, name) and snapshot.routes.get(name)
    ]


class ModelList(HotView):
    """The models that this key may use."""

    @extend_schema(
        operation_id="listModels",
        summary="Models",
        responses=answers(shapes.ModelListSerializer),
        tags=["OpenAI-compatible"],
    )
    async def get(self, request: ASGIRequest) -> HotResponse:
        models = await _usable(request)
        return json_response(orjson.dumps({"object": "list", "data": models}))


class ModelDetail(HotView):
    """One model, if this key may use it."""

    @extend_schema(
        operation_id="retrieveModel",
        summary="One model",
        responses=answers(shapes.ModelSerializer, 404),
        tags=["OpenAI-compatible"],
    )
    async def get(self, request: ASGIRequest, name: str) -> HotResponse:
        for model in await _usable(request):
            if model["id"] == name:
                return json_response(orjson.dumps(model))
        raise NotFound(
            f"The model '{name[:200]}' does not exist, or this key may not use it.",
            param="model",
            code="model_not_found",
        )
