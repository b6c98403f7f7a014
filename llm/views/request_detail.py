"""Tells a caller what became of one of its requests."""

import orjson
from django.core.handlers.asgi import ASGIRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s

from llm.jobs.views.base import OwnedView, parse_id, query, unknown
from llm.replies.http_responses import HotResponse, json_response
from llm.settlement.request_record import load_record
from valuecanvas.core.api.openapi_schema import answers


class LimitShown(s.Serializer):
    scope = s.CharField(help_text="customer, key, team, model, tag or global")
    name = s.CharField(help_text="As in requests_per_day or budget_month.")
    used = s.FloatField(allow_null=True, help_text="With what is held; null: not told.")
    limit = s.FloatField(allow_null=True)
    unit = s.CharField(help_text="requests, tokens, concurrent or usd")
    resets_at = s.DateTimeField(allow_null=True)
    refused = s.BooleanField(help_text="Whether this limit refused.")


class RequestShown(s.Serializer):
    object = s.CharField(help_text="'request'")
    id = s.UUIDField()
    outcome = s.CharField(help_text="served, failed, refused, replayed or in_progress")
    explanation = s.CharField(help_text="What became of it, in a few sentences.")
    created_at = s.DateTimeField(required=False)
    endpoint = s.CharField(required=False)
    model = s.CharField(required=False)
    key = s.CharField(required=False, help_text="The prefix of the key.")
    trace_id = s.CharField(
        required=False,
        allow_null=True,
        help_text="As in x-valuecanvas-trace-id, or of the request's traceparent.",
    )
    error = s.DictField(required=False, allow_null=True)
    step = s.CharField(required=False, help_text="Of a refused one: where it was.")
    limits = s.ListField(child=LimitShown(), required=False)
    max_tokens = s.IntegerField(required=False, allow_null=True)
    retry_at = s.DateTimeField(required=False, allow_null=True)
    provider = s.CharField(required=False)
    cached = s.BooleanField(required=False)
    prompt_tokens = s.IntegerField(required=False)
    completion_tokens = s.IntegerField(required=False)
    cost_usd = s.FloatField(required=False)
    latency_ms = s.IntegerField(required=False)
    ttft_ms = s.IntegerField(required=False, allow_null=True)
    original_request_id = s.UUIDField(
        required=False, help_text="Of a replay: the request that was answered first."
    )
    failed_attempts = s.ListField(child=s.DictField(), required=False)


class RequestDetail(OwnedView):
    """One request of the caller's, by the header x-request-id of its answer."""

    scope = ""
    counted = ("r", "LOOKUPS_PER_MINUTE")

    @extend_schema(
        operation_id="retrieveRequest",
        summary="What became of a request",
        description="Served, failed, refused or replayed for an Idempotency-Key; a "
        "refused one with the limits that were looked at. A request is found about a second after its answer.",
        responses=answers(RequestShown, 404),
        tags=["Gateway"],
    )
    async def get(self, request: ASGIRequest, request_id: str) -> HotResponse:
        owner = await self.owner(request)
        pk = parse_id(request_id, "request")
        record = await query(request, load_record, owner.customer_id, pk)
        if record is None:
            raise unknown(request_id, "request")
        return json_response(orjson.dumps(record))
