"""Shapes of batches and files for the OpenAPI document only."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers as s

from llm.jobs.types import ENDPOINTS
from llm.jobs.views import shapes
from llm.jobs.views.listing import CURSOR, limit_parameter
from llm.jobs.views.shapes import IDEMPOTENCY_KEY as IDEMPOTENCY_KEY
from llm.models import BatchState, OnLimit
from llm.models.job import LAST, LONGEST_CUSTOM_ID
from valuecanvas.core.api.bodies import StrictSerializer

OPENAI, JOBS = ["OpenAI-compatible"], ["Jobs"]
NDJSON, BINARY = "application/x-ndjson", "application/octet-stream"
_PATHS = list(ENDPOINTS)
_AFTER = OpenApiParameter("after", description="The last page's `last_id`.")
OPENAI_QUERY = [limit_parameter(20, 100), _AFTER]
FILE_QUERY = [
    OpenApiParameter("purpose"),
    OpenApiParameter("order", enum=["asc", "desc"]),
    limit_parameter(10_000, 10_000),
    _AFTER,
]
BATCH_QUERY = [limit_parameter(), CURSOR]
FAILED = OpenApiParameter(
    "failed", OpenApiTypes.BOOL, description="The lines without an answer instead."
)


class UploadShape(StrictSerializer):
    file = s.FileField()
    purpose = s.ChoiceField(["batch"])

    def get_fields(self) -> dict[str, s.Field]:
        # OpenAI's names, which Python does not allow.
        expiry: dict[str, s.Field] = {
            "expires_after[anchor]": s.RegexField("^created_at$", required=False),
            "expires_after[seconds]": s.IntegerField(required=False, min_value=3600),
        }
        return {**super().get_fields(), **expiry}


class FileShape(s.Serializer):
    id = s.CharField()
    object = s.CharField(help_text="'file'")
    bytes = s.IntegerField()
    created_at = s.IntegerField()
    expires_at = s.IntegerField()
    filename = s.CharField()
    purpose = s.CharField(help_text="'batch' or 'batch_output'")
    status = s.CharField(help_text="'processed'")


class FileDeleted(s.Serializer):
    id = s.CharField()
    object = s.CharField()
    deleted = s.BooleanField()


class OpenAIPage(s.Serializer):
    object = s.CharField(help_text="'list'")
    first_id = s.CharField(allow_null=True)
    last_id = s.CharField(allow_null=True)
    has_more = s.BooleanField()


class FileList(OpenAIPage):
    data = FileShape(many=True)  # type: ignore[assignment]


class NewOpenAIBatch(StrictSerializer):
    input_file_id = s.CharField()
    endpoint = s.ChoiceField(_PATHS)
    completion_window = s.ChoiceField(["24h"])
    metadata = shapes.Metadata(required=False, allow_null=True)


class BatchFault(s.Serializer):
    code = s.CharField()
    message = s.CharField()
    line = s.IntegerField(allow_null=True)
    param = s.CharField(allow_null=True)


class BatchFaults(s.Serializer):
    object = s.CharField(help_text="'list'")
    data = BatchFault(many=True)  # type: ignore[assignment]


class RequestCounts(s.Serializer):
    total = s.IntegerField()
    completed = s.IntegerField()
    failed = s.IntegerField()


class OpenAIBatch(s.Serializer):
    id = s.CharField()
    object = s.CharField(help_text="'batch'")
    endpoint = s.ChoiceField(_PATHS)
    errors = BatchFaults(allow_null=True)  # type: ignore[assignment]
    input_file_id = s.CharField()
    completion_window = s.CharField()
    status = s.ChoiceField(BatchState.choices)
    output_file_id = s.CharField(allow_null=True)
    error_file_id = s.CharField(allow_null=True)
    created_at = s.IntegerField()
    in_progress_at = s.IntegerField(allow_null=True)
    expires_at = s.IntegerField()
    finalizing_at = s.IntegerField(allow_null=True)
    completed_at = s.IntegerField(allow_null=True)
    failed_at = s.IntegerField(allow_null=True)
    expired_at = s.IntegerField(allow_null=True)
    cancelling_at = s.IntegerField(allow_null=True)
    cancelled_at = s.IntegerField(allow_null=True)
    request_counts = RequestCounts()
    metadata = s.DictField(child=s.CharField(), allow_null=True)


class OpenAIBatchList(OpenAIPage):
    data = OpenAIBatch(many=True)  # type: ignore[assignment]


class BatchLineShape(StrictSerializer):
    custom_id = s.RegexField(r"^[ -~]+$", max_length=LONGEST_CUSTOM_ID)
    body = s.DictField(help_text="The body of a request to the endpoint.")


class NewBatchShape(StrictSerializer):
    endpoint = s.ChoiceField(_PATHS)
    requests = s.ListField(child=BatchLineShape(), min_length=1)
    tags = shapes.JobTags(required=False, allow_null=True)
    callbackUrl = s.URLField(
        required=False,
        allow_null=True,
        max_length=2000,
        help_text="Told when the batch has ended.",
    )
    onLimit = s.ChoiceField(
        OnLimit.choices, required=False, help_text="If quota or budget are used up."
    )
    deadline = s.DateTimeField(
        required=False, allow_null=True, help_text="In 24 hours unless given."
    )
    priority = s.IntegerField(required=False, min_value=0, max_value=LAST)
    metadata = shapes.Metadata(required=False, allow_null=True)


class BatchShape(s.Serializer):
    id = s.UUIDField()
    object = s.CharField(help_text="'batch'")
    endpoint = s.ChoiceField(_PATHS)
    state = s.ChoiceField(BatchState.choices)
    progress = s.IntegerField(help_text="0 to 100.")
    total = s.IntegerField()
    succeeded = s.IntegerField()
    failed = s.IntegerField()
    cancelled = s.IntegerField()
    costUsd = s.FloatField()
    priority = s.IntegerField()
    tags = s.ListField(child=s.CharField())
    metadata = s.DictField(child=s.CharField())
    onLimit = s.ChoiceField(OnLimit.choices)
    createdAt = s.DateTimeField()
    deadline = s.DateTimeField()
    startedAt = s.DateTimeField(allow_null=True)
    cancelledAt = s.DateTimeField(allow_null=True)
    finishedAt = s.DateTimeField(allow_null=True)
    errors = BatchFault(many=True)  # type: ignore[assignment]


class BatchPage(s.Serializer):
    data = BatchShape(many=True)  # type: ignore[assignment]
    nextCursor = s.UUIDField(allow_null=True)


class OutputAnswer(s.Serializer):
    status_code = s.IntegerField()
    request_id = s.CharField()
    body = s.DictField()


class OutputFault(s.Serializer):
    code = s.CharField()
    message = s.CharField()


class OutputLine(s.Serializer):
    id = s.CharField()
    custom_id = s.CharField()
    response = OutputAnswer(allow_null=True)
    error = OutputFault(allow_null=True)
