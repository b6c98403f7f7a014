"""OpenAI's own shapes, for the OpenAPI document only: the hot path validates by hand."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as s

from llm.request.field_names import passed_fields
from valuecanvas.core.api.openapi_schema import OpenObject


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


class StoredPrompt(OpenObject):
    id = s.CharField(help_text="The prompt's key, e.g. 'canvas.generate'.")
    version = VersionNumber(required=False, help_text="A number; else by the label.")
    label = s.CharField(  # type: ignore[assignment]  # a name of Field
        required=False, help_text="'production' unless given."
    )
    variables = s.DictField(required=False)


class PassedFields(OpenObject):
    """A request, with the fields of OpenAI's that are passed on as they are."""

    endpoint = ""

    def get_fields(self) -> dict[str, s.Field]:
        found = super().get_fields()
        passed = sorted(passed_fields(self.endpoint) - found.keys())
        return found | {name: s.JSONField(required=False) for name in passed}


class RequestMessage(OpenObject):
    role = s.CharField(help_text="developer, system, user, assistant or tool.")
    content = s.JSONField(
        required=False, allow_null=True, help_text="A text, or a list of parts."
    )
    name = s.CharField(required=False)
    tool_calls = s.ListField(child=s.DictField(), required=False)
    tool_call_id = s.CharField(required=False)


class ChatRequestSerializer(PassedFields):
    """Fields that are not here are passed on to the provider as well."""

    endpoint = "chat"
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
    stream = s.BooleanField(required=False, help_text="Answer by server-sent events.")
    stream_options = s.DictField(required=False)
    max_tokens = s.IntegerField(required=False, min_value=1)
    max_completion_tokens = s.IntegerField(required=False, min_value=1)
    n = s.IntegerField(required=False, min_value=1)
    temperature = s.FloatField(required=False)
    tools = s.ListField(child=s.DictField(), required=False)
    response_format = s.DictField(required=False)
    user = s.CharField(required=False, help_text="A label of the request.")


class UsageSerializer(OpenObject):
    prompt_tokens = s.IntegerField()
    completion_tokens = s.IntegerField()
    total_tokens = s.IntegerField()


class AnswerMessage(OpenObject):
    role = s.CharField(help_text="'assistant'")
    content = s.CharField(required=False, allow_null=True)
    refusal = s.CharField(required=False, allow_null=True)
    tool_calls = s.ListField(child=s.DictField(), required=False, allow_null=True)


class ChatChoice(OpenObject):
    index = s.IntegerField()
    message = AnswerMessage()
    finish_reason = s.CharField(
        allow_null=True, help_text="stop, length, tool_calls or content_filter."
    )


class ChatCompletion(OpenObject):
    id = s.CharField()
    object = s.CharField(help_text="'chat.completion'")
    created = s.IntegerField()
    model = s.CharField()
    choices = ChatChoice(many=True)
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


class EmbeddingRequest(PassedFields):
    endpoint = "embeddings"
    model = s.CharField()
    input = EmbeddingInput(help_text="One text, several, or tokens.")
    encoding_format = s.ChoiceField(["float", "base64"], required=False)
    dimensions = s.IntegerField(required=False, min_value=1)
    user = s.CharField(required=False, help_text="A label of the request.")


@extend_schema_field(
    {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]}
)
class Vector(s.JSONField):
    """Numbers, or with `encoding_format` base64 a text."""


class EmbeddingVector(OpenObject):
    object = s.CharField(help_text="'embedding'")
    index = s.IntegerField()
    embedding = Vector()


class EmbeddingUsage(OpenObject):
    prompt_tokens = s.IntegerField()
    total_tokens = s.IntegerField()


class EmbeddingList(OpenObject):
    object = s.CharField(help_text="'list'")
    model = s.CharField()
    data = EmbeddingVector(many=True)  # type: ignore[assignment]  # a name of Serializer
    usage = EmbeddingUsage()


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


class ResponseRequest(PassedFields):
    """Fields that are not here are passed on to the provider as well."""

    endpoint = "responses"
    model = s.CharField(
        required=False, help_text="Required, unless the prompt's version names one."
    )
    input = ResponseInput(required=False, help_text="Required without a prompt.")
    prompt = StoredPrompt(required=False)
    instructions = s.CharField(required=False)
    stream = s.BooleanField(required=False, help_text="Answer by server-sent events.")
    max_output_tokens = s.IntegerField(required=False, min_value=1)
    temperature = s.FloatField(required=False)
    tools = s.ListField(child=s.DictField(), required=False)
    user = s.CharField(required=False, help_text="A label of the request.")


class ResponseUsage(OpenObject):
    input_tokens = s.IntegerField()
    output_tokens = s.IntegerField()
    total_tokens = s.IntegerField()


class ResponseObject(OpenObject):
    id = s.CharField()
    object = s.CharField(help_text="'response'")
    created_at = s.FloatField()
    model = s.CharField()
    status = s.CharField(help_text="completed, incomplete or failed.")
    output = s.ListField(child=s.DictField(), help_text="Messages and tool calls.")
    error = s.DictField(required=False, allow_null=True)
    incomplete_details = s.DictField(required=False, allow_null=True)
    parallel_tool_calls = s.BooleanField()
    tool_choice = s.JSONField()
    tools = s.ListField(child=s.DictField())
    usage = ResponseUsage(required=False, allow_null=True)


class ModelSerializer(OpenObject):
    id = s.CharField()
    object = s.CharField()
    created = s.IntegerField()
    owned_by = s.CharField()


class ModelListSerializer(s.Serializer):
    object = s.CharField()
    data = ModelSerializer(many=True)  # type: ignore[assignment]  # a name of Serializer
