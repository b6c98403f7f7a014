"""The OpenAI-compatible endpoints that cost money."""

from typing import Any, ClassVar

from django.core.handlers.asgi import ASGIRequest
from drf_spectacular.utils import extend_schema, extend_schema_view

from llm.types import Call
from llm.views import schemas
from llm.views.base import PaidView, call_of, json_body


def label(body: dict[str, Any]) -> str:
    """The client's label for its user; OpenAI has two names for it."""
    names = (body.get("user"), body.get("safety_identifier"))
    return next((name for name in names if isinstance(name, str) and name), "")


class ProviderView(PaidView):
    """An endpoint that is passed on to a provider."""

    endpoint: ClassVar[str]

    def call(self, request: ASGIRequest) -> Call:
        body = json_body(request)
        return call_of(request, self.endpoint, body, user=label(body))


@extend_schema_view(
    post=extend_schema(
        operation_id="createChatCompletion",
        summary="Chat completion",
        request=schemas.ChatRequestSerializer,
        responses=schemas.answers(schemas.ChatCompletion),
        tags=["OpenAI-compatible"],
    )
)
class ChatCompletions(ProviderView):
    """Streamed or not; tools, structured outputs, images and unknown fields pass through."""

    endpoint = "chat"


@extend_schema_view(
    post=extend_schema(
        operation_id="createEmbedding",
        summary="Embeddings",
        request=schemas.EmbeddingRequest,
        responses=schemas.answers(schemas.EmbeddingList),
        tags=["OpenAI-compatible"],
    )
)
class EmbeddingsView(ProviderView):
    """Vectors for one text or several."""

    endpoint = "embeddings"


@extend_schema_view(
    post=extend_schema(
        operation_id="createResponse",
        summary="Response",
        request=schemas.ResponseRequest,
        responses=schemas.answers(schemas.ResponseObject),
        tags=["OpenAI-compatible"],
    )
)
class ResponsesView(ProviderView):
    """OpenAI's Responses; translated to chat for providers that lack it."""

    endpoint = "responses"
