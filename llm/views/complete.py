"""The short way to a completion: a prompt in, its text and cost out."""

from typing import Any

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema, extend_schema_view

from llm import idempotency
from llm.cache import directives
from llm.completion import Completion, read_completion
from llm.responses import json_response
from llm.types import Call, Reply
from llm.views import schemas
from llm.views.base import HotView, json_body, request_id, runtime, trace_id
from valuecanvas.core.errors import InvalidRequest

_PARAMETERS = {
    "maxTokens": "max_tokens",
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop",
}
_KNOWN = {"prompt", "model", "userId", *_PARAMETERS}


def chat_body(given: dict[str, Any]) -> dict[str, Any]:
    """The chat request that `given` stands for. Raises InvalidRequest."""
    prompt = given.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidRequest("'prompt' is required: a text.", param="prompt")
    unknown = sorted(given.keys() - _KNOWN)
    if unknown:
        raise InvalidRequest(
            f"Unknown field '{unknown[0]}'. Known: {', '.join(sorted(_KNOWN))}.",
            param=unknown[0],
        )
    user = given.get("userId")
    if user is not None and not isinstance(user, str):
        raise InvalidRequest("'userId' must be a text.", param="userId")
    body: dict[str, Any] = {
        "model": given.get("model"),
        "messages": [{"role": "user", "content": prompt}],
    }
    for name, sent_as in _PARAMETERS.items():
        if given.get(name) is not None:
            body[sent_as] = given[name]
    return body


def shown(completion: Completion) -> dict[str, Any]:
    return {
        "content": completion.content,
        "cost": float(completion.cost_usd),
        "cached": completion.cached,
        "provider": completion.provider,
        "model": completion.model,
        "usage": {
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "total_tokens": completion.prompt_tokens + completion.completion_tokens,
        },
        "request_id": completion.request_id,
    }


@extend_schema_view(
    post=extend_schema(
        operation_id="complete",
        summary="Complete a prompt",
        request=schemas.CompleteRequest,
        responses=schemas.answers(schemas.CompleteResponse),
        tags=["Gateway"],
    )
)
class Complete(HotView):
    """One prompt for one user, with failover; answers with the text and its cost."""

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        given = json_body(request)
        call = Call(
            id=request_id(request),
            endpoint="chat",
            body=chat_body(given),
            authorization=request.META.get("HTTP_AUTHORIZATION"),
            on_behalf=given.get("userId"),
            on_behalf_required=True,
            trace_id=trace_id(request),
            directives=directives.parse(request.META),
            idempotency_key=idempotency.parse(request.META.get("HTTP_IDEMPOTENCY_KEY")),
        )
        reply = await runtime(request).pipeline.run(call)
        if not isinstance(reply, Reply):
            raise TypeError("A request without 'stream' is answered whole.")
        completion = read_completion(reply)
        return json_response(orjson.dumps(shown(completion)), reply.headers)
