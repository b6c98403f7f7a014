"""Shapes for the OpenAPI document only: the hot path validates by hand."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers as s

from valuecanvas.core.api.openapi_schema import ErrorBody as ErrorBody


class StoredPrompt(s.Serializer):
    id = s.CharField(help_text="The prompt's key, e.g. 'canvas.generate'.")
    version = s.CharField(required=False, help_text="A number; else by the label.")
    label = s.CharField(  # type: ignore[assignment]
        required=False, help_text="'production' unless given."
    )
    variables = s.DictField(required=False)


class ChatRequestSerializer(s.Serializer):
    model = s.CharField(
        required=False, help_text="Required, unless the prompt's version names one."
    )
    messages = s.ListField(
        child=s.DictField(),
        required=False,
        help_text="Required without a prompt; with one they come after its own.",
    )
    prompt = StoredPrompt(required=False)
    stream = s.BooleanField(required=False)
    stream_options = s.DictField(required=False)
    max_tokens = s.IntegerField(required=False, min_value=1)
    max_completion_tokens = s.IntegerField(required=False, min_value=1)
    n = s.IntegerField(required=False, min_value=1)
    temperature = s.FloatField(required=False)
    tools = s.ListField(child=s.DictField(), required=False)
    response_format = s.DictField(required=False)
    user = s.CharField(
        required=False, help_text="Billed, if the key may act for others."
    )


class UsageSerializer(s.Serializer):
    prompt_tokens = s.IntegerField()
    completion_tokens = s.IntegerField()
    total_tokens = s.IntegerField()


class ChatCompletion(s.Serializer):
    id = s.CharField()
    object = s.CharField()
    created = s.IntegerField()
    model = s.CharField()
    choices = s.ListField(child=s.DictField())
    usage = UsageSerializer(required=False)


class EmbeddingRequest(s.Serializer):
    model = s.CharField()
    input = s.ListField(child=s.CharField())
    encoding_format = s.ChoiceField(["float", "base64"], required=False)
    dimensions = s.IntegerField(required=False)
    user = s.CharField(required=False)


class EmbeddingList(s.Serializer):
    object = s.CharField()
    model = s.CharField()
    data = s.ListField(child=s.DictField())  # type: ignore[assignment]
    usage = s.DictField()


class ResponseRequest(s.Serializer):
    model = s.CharField(required=False)
    input = s.JSONField(required=False, help_text="Required without a prompt.")
    prompt = StoredPrompt(required=False)
    instructions = s.CharField(required=False)
    stream = s.BooleanField(required=False)
    max_output_tokens = s.IntegerField(required=False)
    tools = s.ListField(child=s.DictField(), required=False)


class ResponseObject(s.Serializer):
    id = s.CharField()
    object = s.CharField()
    status = s.CharField()
    output = s.ListField(child=s.DictField())
    usage = s.DictField(required=False)


class ModelSerializer(s.Serializer):
    id = s.CharField()
    object = s.CharField()
    created = s.IntegerField()
    owned_by = s.CharField()


class ModelListSerializer(s.Serializer):
    object = s.CharField()
    data = ModelSerializer(many=True)  # type: ignore[assignment]


class CompleteRequest(s.Serializer):
    prompt = s.CharField(required=False, help_text="A text; or send a promptKey.")
    promptKey = s.CharField(required=False, help_text="A stored prompt's key.")
    promptVersion = s.IntegerField(required=False, min_value=1)
    promptLabel = s.CharField(required=False)
    promptVariables = s.DictField(required=False)
    model = s.CharField(
        required=False, help_text="Required, unless the prompt's version names one."
    )
    metadata = s.DictField(required=False, help_text="Attributes for flags.")
    userId = s.CharField(
        required=False,
        help_text="Who is billed: needs a key with the scope act_as, of the user's team; "
        "or without a team, for users without keys.",
    )
    maxTokens = s.IntegerField(required=False, min_value=1)
    temperature = s.FloatField(required=False)


class CompleteResponse(s.Serializer):
    content = s.CharField()
    cost = s.FloatField(help_text="US dollars.")
    cached = s.BooleanField()
    provider = s.CharField()
    model = s.CharField()
    usage = UsageSerializer()
    request_id = s.UUIDField()


class HealthSerializer(s.Serializer):
    status = s.ChoiceField(
        ["ok", "degraded", "down"], help_text="The only field without a key."
    )
    epoch = s.IntegerField(required=False)
    providers = s.ListField(child=s.DictField(), required=False)
    ledger = s.DictField(required=False)
    cache = s.DictField(required=False)
    queue = s.DictField(required=False)


_REFUSALS = {
    400: "The request cannot be served as it is.",
    401: "The key is missing or unknown.",
    403: "The key may not do this.",
    404: "No such model.",
    429: "The daily quota or a budget is used up, or all providers ask us to slow down.",
    502: "No provider could answer.",
    503: "No provider, or the ledger, is available now.",
    504: "No provider answered in time.",
}


def responses(success: Any, refusals: Mapping[int, str] = _REFUSALS) -> dict[int, Any]:
    """The documented responses of an endpoint, by default of one that costs money."""
    documented = {
        status: OpenApiResponse(ErrorBody, description=text)
        for status, text in refusals.items()
    }
    return {200: success, **documented}


def document_post(
    operation_id: str,
    summary: str,
    request: type[s.Serializer],
    answer: type[s.Serializer],
    *,
    tag: str = "OpenAI-compatible",
) -> Any:
    """Document the POST of a view that costs money."""
    return extend_schema_view(
        post=extend_schema(
            operation_id=operation_id,
            summary=summary,
            request=request,
            responses=responses(answer),
            tags=[tag],
        )
    )
