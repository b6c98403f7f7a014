"""The OpenAI-compatible endpoints that cost money."""

from typing import ClassVar

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema, extend_schema_view

from llm import idempotency
from llm.cache import directives
from llm.types import Call
from llm.views import schemas
from llm.views.base import HotView, answer, json_body, request_id, trace_id


class Relayed(HotView):
    """An endpoint that is relayed to a provider."""

    endpoint: ClassVar[str]

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        body = json_body(request)
        user = body.get("user")
        call = Call(
            id=request_id(request),
            endpoint=self.endpoint,
            body=body,
            authorization=request.META.get("HTTP_AUTHORIZATION"),
            on_behalf=user if isinstance(user, str) and user else None,
            trace_id=trace_id(request),
            directives=directives.parse(request.META),
            idempotency_key=idempotency.parse(request.META.get("HTTP_IDEMPOTENCY_KEY")),
        )
        return await answer(request, call)


@extend_schema_view(
    post=extend_schema(
        operation_id="createChatCompletion",
        summary="Chat completion",
        request=schemas.ChatRequest,
        responses=schemas.answers(schemas.ChatCompletion),
        tags=["OpenAI-compatible"],
    )
)
class ChatCompletions(Relayed):
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
class Embeddings(Relayed):
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
class Responses(Relayed):
    """OpenAI's Responses; translated to chat for providers that lack it."""

    endpoint = "responses"
