"""A simple API: takes a prompt, returns its text and cost."""

from typing import Any

import orjson
from django.core.handlers.asgi import ASGIRequest

from llm.replies.completion import Completion, read_completion
from llm.replies.http_responses import HotResponse, json_response
from llm.request.stored_prompt import FIELDS, parse_stored_prompt, rename_fields
from llm.translate.typed_fields import refuse_unknown
from llm.types import Call, Reply
from llm.views import schemas
from llm.views.base import PaidView, call_of, json_body, runtime
from valuecanvas.core.errors import GatewayError, InvalidRequest

_PARAMETERS = {
    "maxTokens": "max_tokens",
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop",
}
_KNOWN = sorted(("prompt", "model", "userId", "metadata", *_PARAMETERS, *FIELDS))


def chat_body(given: dict[str, Any]) -> dict[str, Any]:
    """The chat request that `given` means. Raises InvalidRequest."""
    refuse_unknown(given, _KNOWN)
    user = given.get("userId")
    if user is not None and not isinstance(user, str):
        raise InvalidRequest("'userId' must be a text.", param="userId")
    body: dict[str, Any] = {"model": given.get("model"), **_words(given)}
    if given.get("metadata") is not None:
        body["metadata"] = given["metadata"]
    for name, sent_as in _PARAMETERS.items():
        if given.get(name) is not None:
            body[sent_as] = given[name]
    return body


def _words(given: dict[str, Any]) -> dict[str, Any]:
    """The messages, or the stored prompt that has them."""
    stored = parse_stored_prompt(given)
    prompt = given.get("prompt")
    if stored:
        if prompt is not None:
            raise InvalidRequest(
                "Send 'prompt', or the 'promptKey' of a stored one; not both.",
                param="prompt",
            )
        return {"prompt": stored}
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidRequest(
            "'prompt' is required: a text; or a 'promptKey'.", param="prompt"
        )
    return {"messages": [{"role": "user", "content": prompt}]}


def render_completion(completion: Completion) -> dict[str, Any]:
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


@schemas.document_post(
    "completePrompt",
    "Complete a prompt",
    schemas.CompleteRequest,
    schemas.CompleteResponse,
    tag="Gateway",
)
class Complete(PaidView):
    """One prompt for one user, with failover; answers with the text and its cost."""

    def call(self, request: ASGIRequest) -> Call:
        given = json_body(request)
        return call_of(
            request,
            "chat",
            chat_body(given),
            user_id=given.get("userId"),
            channel="complete",
        )

    async def respond(self, request: ASGIRequest, call: Call) -> HotResponse:
        try:
            reply = await runtime(request).pipeline.run(call)
        except GatewayError as error:
            rename_fields(error)
            raise
        if not isinstance(reply, Reply):
            raise TypeError("A request without 'stream' is answered whole.")
        completion = read_completion(reply)
        return json_response(orjson.dumps(render_completion(completion)), reply.headers)
