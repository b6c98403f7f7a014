"""Parts of the OpenAPI document that all endpoints share."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers as s


class ErrorDetail(s.Serializer):
    message = s.CharField()
    type = s.CharField()
    param = s.CharField(allow_null=True)
    code = s.CharField(allow_null=True)
    request_id = s.UUIDField(required=False)
    upgrade = s.DictField(required=False, allow_null=True)
    faults = s.ListField(
        child=s.DictField(), required=False, help_text="All that is wrong, if several."
    )


class ErrorBody(s.Serializer):
    error = ErrorDetail()


MEANING = {
    400: "The request cannot be served as it is.",
    401: "The key is missing or not valid.",
    403: "The key or the person may not do this.",
    404: "Not found.",
    409: "Somebody else changed it first; the message says who.",
    429: "Too many requests this minute: wait as Retry-After says.",
}


def errors(*statuses: int) -> dict[int, OpenApiResponse]:
    """The error responses with `statuses`, besides 401, 403 and 429."""
    return {
        status: OpenApiResponse(ErrorBody, description=MEANING[status])
        for status in sorted({401, 403, 429, *statuses})
    }


def answers(success: Any, *statuses: int, status: int = 200) -> dict[int, Any]:
    """`responses` of `extend_schema`: the answer, and the errors with `statuses`."""
    return {status: success, **errors(*statuses)}
