"""Parts of the OpenAPI document that all endpoints share."""

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
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
    404: "There is no such thing, or none that you may see.",
    408: "The body did not arrive in time.",
    409: "Somebody else changed it first, or its state does not allow this now: the "
    "message says which.",
    413: "It is too large, or your files leave no room for it.",
    415: "The body is not of a type that is taken here, or compressed.",
    422: "The Idempotency-Key was used for another request.",
    429: "A limit, a quota or a budget is used up: wait as Retry-After says.",
    500: "An error of the gateway's own: quote the request id.",
    502: "No provider could answer.",
    503: "The gateway is overloaded, or no provider or its database is available now.",
    504: "No provider answered in time.",
}
# Any operation may be refused so: valuecanvas/http/openapi/document_rules.py adds them to each.
ALWAYS = (400, 401, 403, 429, 500, 503)
WITH_BODY = (408, 413, 415)


def answers(
    success: Any, *statuses: int, status: int = 200, kind: str = "application/json"
) -> dict[Any, Any]:
    """`responses` of `extend_schema`: the answer, and the errors with `statuses` besides
    those that any operation has.
    """
    refusals = {
        one: OpenApiResponse(ErrorBody, description=MEANING[one])
        for one in sorted({*statuses} - {*ALWAYS})
    }
    return {(status, kind): success, **refusals}


def event_stream(text: str) -> OpenApiResponse:
    """A stream of server-sent events, which `text` describes.

    OpenAPI 3.1 has no words for the schema of an event.
    """
    return OpenApiResponse({"description": text})


class OpenObject(s.Serializer):
    """An object of the document that may have more fields than are named."""


class StrictObject(OpenApiSerializerExtension):  # type: ignore[no-untyped-call] # its __init_subclass__ has no types
    """Objects that refuse unknown fields."""

    target_class = "valuecanvas.core.api.bodies.StrictSerializer"
    match_subclasses = True
    more = False

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        found: dict[str, Any] = auto_schema._map_serializer(
            self.target, direction, bypass_extensions=True
        )
        kind = self.target if isinstance(self.target, type) else type(self.target)
        if not kind.__doc__:
            # Else the description would be that of the base class.
            found.pop("description", None)
        return {**found, "additionalProperties": self.more}


class ExtensibleObject(StrictObject):  # type: ignore[no-untyped-call] # as above
    """Objects that have more fields: else generated clients would drop them."""

    target_class = "valuecanvas.core.api.openapi_schema.OpenObject"
    more = True


class TrimmedText(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # its __init_subclass__ has no types
    """Texts of requests that may not be blank, of which spaces are taken off."""

    target_class = "rest_framework.serializers.CharField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        field = self.target
        found: dict[str, Any] = auto_schema._map_serializer_field(
            field, direction, bypass_extensions=True
        )
        # What may be null becomes so where this is used.
        found["type"] = "string"
        free = field.allow_blank or not field.trim_whitespace
        ruled = any(isinstance(one, RegexValidator) for one in field.validators)
        if direction == "response" or free or ruled or "format" in found:
            return found
        return {"pattern": r"\S", **found}
