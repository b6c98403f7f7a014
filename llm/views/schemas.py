"""Shapes for the OpenAPI document only: the hot path validates by hand."""

from typing import Any

from drf_spectacular.utils import (
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import serializers as s

from valuecanvas.core.api.bodies import StrictSerializer
from valuecanvas.core.api.openapi_schema import answers, event_stream


@extend_schema_field(
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
            {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
        ]
    }
)
class VersionNumber(s.CharField):
    """A number, or a text with it, as OpenAI has it."""


class StoredPrompt(s.Serializer):
    id = s.CharField(help_text="The prompt's key, e.g. 'canvas.generate'.")
    version = VersionNumber(required=False, help_text="A number; else by the label.")
    label = s.CharField(  # type: ignore[assignment]
        required=False, help_text="'production' unless given."
    )
    variables = s.DictField(required=False)


class RequestMessage(s.Serializer):
    role = s.CharField(help_text="developer, system, user, assistant or tool.")
    content = s.JSONField(
        required=False, allow_null=True, help_text="A text, or a list of parts."
    )
    name = s.CharField(required=False)
    tool_calls = s.ListField(child=s.DictField(), required=False)
    tool_call_id = s.CharField(required=False)


class ChatRequestSerializer(s.Serializer):
    model = s.CharField(
        required=False, help_text="Required, unless the prompt's version names one."
    )
    messages = s.ListField(
        child=RequestMessage(),
        min_length=1,
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


@extend_schema_field(
    {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "minLength": 1},
            },
            {
                "type": "array",
                "minItems": 1,
                "items": {"type": "integer", "minimum": 0},
            },
            {
                "type": "array",
                "minItems": 1,
                "items": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
            },
        ]
    }
)
class EmbeddingInput(s.JSONField):
    """As OpenAI has it."""


class EmbeddingRequest(s.Serializer):
    model = s.CharField()
    input = EmbeddingInput(help_text="One text, several, or tokens.")
    encoding_format = s.ChoiceField(["float", "base64"], required=False)
    dimensions = s.IntegerField(required=False, min_value=1)
    user = s.CharField(required=False)


class EmbeddingList(s.Serializer):
    object = s.CharField()
    model = s.CharField()
    data = s.ListField(child=s.DictField())  # type: ignore[assignment]
    usage = s.DictField()


@extend_schema_field(
    {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "minItems": 1, "items": {"type": "object"}},
        ]
    }
)
class ResponseInput(s.JSONField):
    """A text, or a list of items."""


class ResponseRequest(s.Serializer):
    model = s.CharField(required=False)
    input = ResponseInput(required=False, help_text="Required without a prompt.")
    prompt = StoredPrompt(required=False)
    instructions = s.CharField(required=False)
    stream = s.BooleanField(required=False)
    max_output_tokens = s.IntegerField(required=False, min_value=1)
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


class CompleteRequest(StrictSerializer):
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
    max_tokens = s.IntegerField(
        required=False, min_value=1, help_text="The same as maxTokens."
    )
    temperature = s.FloatField(required=False)
    top_p = s.FloatField(required=False)
    seed = s.IntegerField(required=False)
    stop = s.JSONField(required=False, help_text="A text, or a list of them.")


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


def document_post(
    operation_id: str,
    summary: str,
    request: type[s.Serializer],
    answer: type[s.Serializer],
    *,
    tag: str = "OpenAI-compatible",
    events: str = "",
) -> Any:
    """Document the POST of a view that costs money; `events` says what is streamed if
    `stream` is true.
    """
    documented = answers(answer, 404, 409, 422, 502, 504)
    if events:
        documented[200, "text/event-stream"] = event_stream(events)
    return extend_schema_view(
        post=extend_schema(
            operation_id=operation_id,
            summary=summary,
            request=request,
            responses=documented,
            tags=[tag],
        )
    )
