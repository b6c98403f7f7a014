"""Shapes for the OpenAPI document only: the hot path validates by hand."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers as s

from llm.views.openai_shapes import UsageSerializer
from valuecanvas.core.api.bodies import StrictSerializer
from valuecanvas.core.api.openapi_schema import answers, event_stream


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
