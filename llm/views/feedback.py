"""Takes the rating of an answer."""

import uuid
from typing import Any

import orjson
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s

from llm.models.feedback import BEST, LONGEST_COMMENT, WORST
from llm.prompting import feedback
from llm.prompting.feedback import Rating
from llm.replies.http_responses import HotResponse, json_response
from llm.translate.typed_fields import refuse_unknown
from llm.views.base import HotView, bare_call, count_in_minute, json_body, runtime
from valuecanvas.core.api.bodies import StrictSerializer
from valuecanvas.core.api.openapi_schema import answers
from valuecanvas.core.errors import InvalidRequest

_KNOWN = ("request_id", "score", "comment")


class FeedbackRequest(StrictSerializer):
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


def parse_feedback(body: dict[str, Any]) -> Rating:
    """The rating in a request's body. Raises InvalidRequest."""
    refuse_unknown(body, _KNOWN)
    return Rating(_request_id(body), _score(body), _comment(body))


def _request_id(body: dict[str, Any]) -> uuid.UUID:
    value = body.get("request_id")
    try:
        return uuid.UUID(value if isinstance(value, str) else "")
    except ValueError as error:
        raise InvalidRequest(
            "'request_id' is the id in the answer's header x-request-id.",
            param="request_id",
        ) from error


def _score(body: dict[str, Any]) -> float:
    value: Any = body.get("score")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not WORST <= value <= BEST:
        raise InvalidRequest(
            f"'score' is a number from {WORST:g} (bad) to {BEST:g} (good).",
            param="score",
        )
    return float(value)


def _comment(body: dict[str, Any]) -> str:
    value = body.get("comment")
    text = "" if value is None else value
    if not isinstance(text, str) or len(text) > LONGEST_COMMENT or "\0" in text:
        raise InvalidRequest(
            f"'comment' is a text of at most {LONGEST_COMMENT} characters.",
            param="comment",
        )
    return text


class FeedbackView(HotView):
    """Rates an answer, by the id of its request."""

    @extend_schema(
        operation_id="sendFeedback",
        summary="Rate an answer",
        description="One rating for a request; sent again, it replaces the first.",
        request=FeedbackRequest,
        responses=answers(FeedbackShown, 404, 409),
        tags=["Gateway"],
    )
    async def post(self, request: ASGIRequest) -> HotResponse:
        rating = parse_feedback(json_body(request))
        gateway = runtime(request)
        # First, as a key that was revoked is dropped with the change of the snapshot.
        await gateway.committed.latest()
        call = bare_call(request, "feedback")
        principal = await gateway.authentication.identify(call)
        await count_in_minute(request, principal, "f", settings.FEEDBACK_PER_MINUTE)
        saved = await gateway.db.run(feedback.save, principal, rating)
        body = {
            "object": "feedback",
            "request_id": str(saved.request_id),
            "score": saved.score,
            "comment": saved.comment,
        }
        return json_response(orjson.dumps(body))
