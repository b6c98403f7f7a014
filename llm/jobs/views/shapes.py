"""Shapes of jobs for the OpenAPI document only: the requests are checked by hand."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers as s

from llm.models import JobState, OnLimit
from llm.models.job import LAST
from valuecanvas.core.api.openapi_schema import ErrorBody

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="A second submission with the same key returns the first one.",
)
Answer = OpenApiTypes.OBJECT
_REFUSALS = {
    400: "The request cannot be served as it is.",
    401: "The key is missing or unknown.",
    403: "The key may not do this.",
    404: "You have nothing of this id.",
    409: "Its state does not allow this now.",
    429: "Too many calls a minute, or too many open jobs.",
    503: "The database is not available now.",
}


class JobFailure(s.Serializer):
    code = s.CharField()
    message = s.CharField()


class NewJobShape(s.Serializer):
    type = s.CharField(
        help_text="canvas_generation, completion, embedding, or your own."
    )
    promptKey = s.CharField(required=False, help_text="A stored prompt's key.")
    promptVersion = s.IntegerField(required=False, min_value=1)
    promptLabel = s.CharField(required=False)
    promptVariables = s.DictField(required=False)
    model = s.CharField(
        required=False, help_text="Required, unless the prompt's version names one."
    )
    body = s.DictField(
        required=False, help_text="The body of a request to OpenAI's API."
    )
    priority = s.IntegerField(
        required=False,
        min_value=0,
        max_value=LAST,
        help_text="0 is the first; 5 usual.",
    )
    runAt = s.DateTimeField(required=False, help_text="Not before then.")
    deadline = s.DateTimeField(required=False, help_text="Fails if it has not ended.")
    tags = s.ListField(child=s.CharField(), required=False)
    callbackUrl = s.URLField(required=False, help_text="Told when the job has ended.")
    onLimit = s.ChoiceField(
        OnLimit.choices, required=False, help_text="If quota or budget are used up."
    )


class JobShape(s.Serializer):
    id = s.UUIDField()
    object = s.CharField(help_text="'job'")
    type = s.CharField()
    state = s.ChoiceField(JobState.choices)
    progress = s.IntegerField(help_text="0 to 100.")
    priority = s.IntegerField()
    tags = s.ListField(child=s.CharField())
    attempts = s.IntegerField()
    maxAttempts = s.IntegerField()
    onLimit = s.ChoiceField(OnLimit.choices)
    createdAt = s.DateTimeField()
    runAt = s.DateTimeField()
    deadline = s.DateTimeField(allow_null=True)
    startedAt = s.DateTimeField(allow_null=True)
    finishedAt = s.DateTimeField(allow_null=True)
    batchId = s.UUIDField(allow_null=True)
    customId = s.CharField(allow_null=True)
    requestId = s.UUIDField(allow_null=True, help_text="Of the request that answered.")
    model = s.CharField(allow_null=True)
    costUsd = s.FloatField()
    error = JobFailure(
        allow_null=True, help_text="Why it failed, or what it waits for."
    )


class JobPage(s.Serializer):
    data = JobShape(many=True)  # type: ignore[assignment]
    nextCursor = s.UUIDField(allow_null=True)


def responses(
    success: Any, *, status: int = 200, refusals: Mapping[int, str] = _REFUSALS
) -> dict[int, Any]:
    """The documented responses of an endpoint of jobs."""
    documented = {
        code: OpenApiResponse(ErrorBody, description=text)
        for code, text in refusals.items()
    }
    return {status: success, **documented}
