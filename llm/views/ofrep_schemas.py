"""OFREP's shapes for the OpenAPI document, and its error codes."""

from rest_framework import serializers as s

ERROR_CODES = (
    "PARSE_ERROR",
    "TARGETING_KEY_MISSING",
    "INVALID_CONTEXT",
    "FLAG_NOT_FOUND",
    "GENERAL",
)


class OfrepRequest(s.Serializer):
    context = s.DictField(  # type: ignore[assignment]
        required=False,
        help_text="Attributes of who is asked for; 'targetingKey' is the user.",
    )


class OfrepSuccess(s.Serializer):
    key = s.CharField()
    value = s.JSONField(required=False, help_text="Missing: use your own default.")
    variant = s.CharField(required=False)
    reason = s.CharField(
        help_text="STATIC, TARGETING_MATCH, SPLIT, DISABLED or UNKNOWN."
    )
    metadata = s.DictField(required=False)


class OfrepFailure(s.Serializer):
    key = s.CharField(required=False)
    errorCode = s.ChoiceField(ERROR_CODES)
    errorDetails = s.CharField(required=False)


class OfrepProblem(s.Serializer):
    key = s.CharField(required=False)
    errorDetails = s.CharField()


class OfrepBulk(s.Serializer):
    flags = s.ListField(child=s.DictField())
    metadata = s.DictField(required=False)
