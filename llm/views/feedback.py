"""What a user thinks of an answer."""

import uuid
from typing import Any

import orjson
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers as s

from billing.auth import key_check
from billing.auth.principal import Principal
from billing.minute_limits import MinuteLimits
from llm.limits.refusal import error as limit_error
from llm.limits.types import LimitRefused, Subject
from llm.models.feedback import BEST, LONGEST_COMMENT, WORST
from llm.prompting import feedback
from llm.prompting.feedback import Opinion
from llm.replies.http_responses import json_response
from llm.runtime import Runtime
from llm.types import Call
from llm.views import schemas
from llm.views.base import HotView, json_body, request_id, runtime
from valuecanvas.core.errors import InvalidRequest

_KNOWN = ("request_id", "score", "comment")


class FeedbackRequest(s.Serializer):
    request_id = s.UUIDField(help_text="The answer's header x-request-id.")
    score = s.FloatField(
        min_value=WORST, max_value=BEST, help_text="From -1, bad, to 1, good."
    )
    comment = s.CharField(required=False, max_length=LONGEST_COMMENT, allow_blank=True)


class FeedbackShown(s.Serializer):
    object = s.CharField(help_text="'feedback'")
    request_id = s.UUIDField()
    score = s.FloatField()
    comment = s.CharField(allow_blank=True)


def opinion(body: dict[str, Any]) -> Opinion:
    """What a request's body says. Raises InvalidRequest."""
    unknown = sorted(body.keys() - set(_KNOWN))
    if unknown:
        raise InvalidRequest(
            f"Unknown field '{unknown[0]}'. Known: {', '.join(_KNOWN)}.",
            param=unknown[0],
        )
    return Opinion(_request_id(body), _score(body), _comment(body))


def _request_id(body: dict[str, Any]) -> uuid.UUID:
    given = body.get("request_id")
    try:
        return uuid.UUID(given if isinstance(given, str) else "")
    except ValueError as error:
        raise InvalidRequest(
            "'request_id' is the id in the answer's header x-request-id.",
            param="request_id",
        ) from error


def _score(body: dict[str, Any]) -> float:
    given: Any = body.get("score")
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not WORST <= given <= BEST:
        raise InvalidRequest(
            f"'score' is a number from {WORST:g} (bad) to {BEST:g} (good).",
            param="score",
        )
    return float(given)


def _comment(body: dict[str, Any]) -> str:
    given = body.get("comment")
    text = "" if given is None else given
    if not isinstance(text, str) or len(text) > LONGEST_COMMENT or "\0" in text:
        raise InvalidRequest(
            f"'comment' is a text of at most {LONGEST_COMMENT} characters.",
            param="comment",
        )
    return text


@extend_schema_view(
    post=extend_schema(
        operation_id="sendFeedback",
        summary="Rate an answer",
        description="One rating for a request; sent again, it replaces the first.",
        request=FeedbackRequest,
        responses={
            200: FeedbackShown,
            400: OpenApiResponse(schemas.ErrorBody, description="Something is wrong."),
            401: OpenApiResponse(schemas.ErrorBody, description="No key of ours."),
            404: OpenApiResponse(schemas.ErrorBody, description="No request of yours."),
            409: OpenApiResponse(schemas.ErrorBody, description="Still under way."),
            429: OpenApiResponse(schemas.ErrorBody, description="Too many a minute."),
            503: OpenApiResponse(schemas.ErrorBody, description="Try again."),
        },
        tags=["Gateway"],
    )
)
class FeedbackView(HotView):
    """Rates an answer, by the id of its request."""

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        said = opinion(json_body(request))
        gateway = runtime(request)
        # First, as a key that was revoked is dropped with the change of the snapshot.
        await gateway.committed.latest()
        principal = await gateway.authentication.identify(
            Call(
                id=request_id(request),
                endpoint="feedback",
                body={},
                authorization=key_check.authorization(request.META),
            )
        )
        await _count(gateway, principal, str(request_id(request)))
        kept = await gateway.db.run(feedback.keep, principal, said)
        shown = {
            "object": "feedback",
            "request_id": str(kept.request_id),
            "score": kept.score,
            "comment": kept.comment,
        }
        return json_response(orjson.dumps(shown))


async def _count(gateway: Runtime, principal: Principal, call_id: str) -> None:
    """One more rating of this minute. Raises TooManyRequests."""
    most = settings.FEEDBACK_PER_MINUTE
    if not most:
        return
    name = f"k:{principal.key}" if principal.key else f"c:{principal.customer_id}"
    # Nothing is given back: what was asked, counts.
    taken = await gateway.limiter.take(
        [Subject(f"f:{name}", MinuteLimits(requests=most))],
        request_id=call_id,
        tokens=0,
        lease_s=0,
    )
    if isinstance(taken, LimitRefused):
        raise limit_error(taken)
