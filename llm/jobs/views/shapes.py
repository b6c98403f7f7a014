"""Shapes of jobs for the OpenAPI document only: the requests are checked by hand."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers as s

from llm.jobs.parsing import LONGEST_METADATA, MOST_METADATA
from llm.models import JobState, OnLimit
from llm.models.job import LAST, MOST_TAGS
from llm.models.job_batch import LONGEST_TAG
from valuecanvas.core.api.bodies import StrictSerializer

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": r"^[!#-~]{1,255}$"},
    location=OpenApiParameter.HEADER,
    description="A second submission with the same key returns the first one.",
)
Answer = OpenApiTypes.OBJECT
EVENT_STREAM = "text/event-stream"


@extend_schema_field(
    {
        "type": "array",
        "maxItems": MOST_TAGS,
        "items": {"type": "string", "pattern": r"^[ -~]+$", "maxLength": LONGEST_TAG},
    }
)
class JobTags(s.ListField):
    """Short texts of printable characters."""


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": MOST_METADATA,
        "propertyNames": {"maxLength": LONGEST_METADATA[0]},
        "additionalProperties": {"type": "string", "maxLength": LONGEST_METADATA[1]},
    }
)
class Metadata(s.DictField):
    """Texts by their names, as OpenAI has them."""


class JobFailure(s.Serializer):
    code = s.CharField()
    message = s.CharField()


class NewJobShape(StrictSerializer):
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
    runAt = s.DateTimeField(
        required=False, allow_null=True, help_text="Not before then."
    )
    deadline = s.DateTimeField(
        required=False, allow_null=True, help_text="Fails if it has not ended."
    )
    tags = JobTags(required=False, allow_null=True)
    callbackUrl = s.URLField(
        required=False,
        allow_null=True,
        max_length=2000,
        help_text="Told when the job has ended.",
    )
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
