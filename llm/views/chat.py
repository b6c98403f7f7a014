"""The OpenAI-compatible endpoints that cost money."""

from typing import Any

from django.core.handlers.asgi import ASGIRequest

from llm.types import Call
from llm.views import openai_shapes as shapes
from llm.views.base import PaidView, call_of, json_body
from llm.views.schemas import document_post


def label(body: dict[str, Any]) -> str:
    """The client's label for its user; OpenAI has two names for it."""
    names = (body.get("user"), body.get("safety_identifier"))
    return next((name for name in names if isinstance(name, str) and name), "")


class ProviderView(PaidView):
    """An endpoint that is passed on to a provider."""

    def call(self, request: ASGIRequest) -> Call:
        body = json_body(request)
        return call_of(request, self.endpoint, body, user=label(body))


@document_post(
    "createChatCompletion",
    "Chat completion",
    shapes.ChatRequestSerializer,
    shapes.ChatCompletion,
    events="With `stream`: server-sent events, each `data: ` and a chat.completion.chunk: "
    "`choices[].delta` has pieces of the message, the last but one a `finish_reason`, and "
    "with `stream_options.include_usage` one has the `usage`. An error after the first "
    "event is `data: ` and an error body. The last event is `data: [DONE]`.",
)
class ChatCompletions(ProviderView):
    """Streamed or not; tools, structured outputs, images and unknown fields pass through."""

    endpoint = "chat"


@document_post(
    "createEmbedding", "Embeddings", shapes.EmbeddingRequest, shapes.EmbeddingList
)
class EmbeddingsView(ProviderView):
    """Vectors for one text or several."""

    endpoint = "embeddings"


@document_post(
    "createResponse",
    "Response",
    shapes.ResponseRequest,
    shapes.ResponseObject,
    events="With `stream`: server-sent events, `event: ` and the type, then `data: ` and "
    "the event: response.created, the items and their pieces "
    "(response.output_text.delta ...), and at the end response.completed, "
    "response.incomplete or response.failed. `error` is an error after the first event.",
)
class ResponsesView(ProviderView):
    """OpenAI's Responses; translated to chat for providers that lack it."""

    endpoint = "responses"
