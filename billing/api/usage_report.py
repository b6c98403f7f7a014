"""`GET /api/usage/report`: what was used and spent, by any dimension and time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers as s
from rest_framework.request import Request

from billing.auth.principal import Principal
from billing.models import Scope
from billing.usage import exports, reports
from billing.usage.reports import DIMENSIONS, Report, ReportError, UsageQuery
from valuecanvas.core.api.access import Need
from valuecanvas.core.api.bodies import StrictSerializer, Text
from valuecanvas.core.api.endpoint import Endpoint, operation
from valuecanvas.core.errors import NotPermitted
from valuecanvas.core.transfer import downloads

READ = Need(Scope.ADMIN.value, "billing.view_usage", instead=Scope.LLM.value)
NAMES = ", ".join(DIMENSIONS)
SPAN = [
    OpenApiParameter(
        "from", OpenApiTypes.DATE, required=True, description="The first UTC day."
    ),
    OpenApiParameter(
        "to",
        OpenApiTypes.DATE,
        required=True,
        description="The UTC day after the last.",
    ),
]
DOWNLOAD = OpenApiParameter(
    "download", str, enum=[*downloads.KINDS], description="Answer with a file."
)
FILTERS = [
    OpenApiParameter(
        name, str, description="Only these values of the dimension, with commas."
    )
    for name in DIMENSIONS
]
PARAMETERS = [
    *SPAN,
    OpenApiParameter(
        "group_by",
        str,
        description=f"Up to two dimensions, with a comma: {NAMES}. A request with several "
        "tags counts in each.",
    ),
    OpenApiParameter(
        "bucket", str, enum=reports.BUCKETS, description="Rows by time, too."
    ),
    OpenApiParameter(
        "top",
        {"type": "integer", "minimum": 1, "maximum": 1000},
        description="Only so many groups, of those that cost most.",
    ),
    OpenApiParameter(
        "compare", bool, description="With the figures of as many days before."
    ),
    OpenApiParameter(
        "latency", bool, description="With p50, p95 and p99 in ms, within 2 %."
    ),
    DOWNLOAD,
    *FILTERS,
]


class GivenUsageReport(StrictSerializer):
    """The query parameters of a report."""

    typed = False

    group_by = s.CharField(required=False, default="", allow_blank=True)
    bucket = s.CharField(required=False, default="")
    top = s.IntegerField(required=False, min_value=1, max_value=1000)
    compare = s.BooleanField(required=False, default=False)
    latency = s.BooleanField(required=False, default=False)
    download = s.ChoiceField(choices=[*downloads.KINDS], required=False, default="")

    def get_fields(self) -> dict[str, s.Field]:
        # 'from' is no name that Python allows.
        filters = {name: Text() for name in DIMENSIONS}
        days = {name: s.DateField() for name in ("from", "to")}
        return {**super().get_fields(), **days, **filters}

    def validate(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        query = UsageQuery(
            start=attrs["from"],
            end=attrs["to"],
            group_by=_words(attrs["group_by"]),
            bucket=attrs["bucket"],
            filters={n: _words(attrs[n]) for n in DIMENSIONS if attrs.get(n)},
            compare=attrs["compare"],
            top=attrs.get("top"),
            latency=attrs["latency"],
        )
        try:
            reports.check(query)
        except ReportError as error:
            raise s.ValidationError({error.field: str(error)}) from error
        return {"query": query, "download": attrs["download"]}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word) if text else ()


class ShownUsageFigures(s.Serializer):
    requests = s.IntegerField()
    ok = s.IntegerField()
    failed = s.IntegerField()
    cached = s.IntegerField()
    corrections = s.IntegerField(
        help_text="Rows that correct the cost of earlier ones."
    )
    prompt_tokens = s.IntegerField()
    completion_tokens = s.IntegerField()
    cached_tokens = s.IntegerField()
    cost_usd = s.DecimalField(24, 6)
    provider_cost_usd = s.DecimalField(24, 6)
    saved_usd = s.DecimalField(24, 6, help_text="What cached answers would have cost.")
    latency_ms = s.ListField(
        child=s.IntegerField(allow_null=True), help_text="p50, p95, p99, if asked for."
    )


class ShownUsageRow(s.Serializer):
    keys = s.ListField(child=s.CharField(), help_text="In the order of `group_by`.")
    start = s.DateTimeField(allow_null=True, help_text="Of the bucket.")
    figures = ShownUsageFigures()
    before = ShownUsageFigures(allow_null=True)


class ShownUsageReport(s.Serializer):
    rows = ShownUsageRow(many=True)
    total = ShownUsageFigures(help_text="Of all groups, whatever `top` leaves out.")
    before = ShownUsageFigures(allow_null=True)
    until = s.DateTimeField(
        allow_null=True, help_text="Requests settled before then are in it."
    )


class UsageReportDetail(Endpoint):
    """Of all customers for keys with the scope `admin` and for staff; others see their own."""

    @operation(
        "retrieveUsageReport",
        "What was used and spent, by any dimension and time",
        READ,
        tags=["Usage"],
        answer=ShownUsageReport,
        parameters=PARAMETERS,
        refusals=(400,),
    )
    def get(self) -> Report | StreamingHttpResponse:
        asked = GivenUsageReport(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        query, kind = asked.validated_data["query"], asked.validated_data["download"]
        query = replace(query, filters=own_only(self.request, query.filters))
        try:
            report = reports.run(query)
        except ReportError as error:
            raise s.ValidationError({error.field: str(error)}) from error
        if not kind:
            return report
        name = f"usage-{query.start}-{query.end}.{kind}"
        return downloads.download(name, exports.report_lines(query, report, kind))


class UsageExport(Endpoint):
    """The requests themselves. Keys with the scope `admin` and staff get all of them."""

    @operation(
        "exportUsage",
        "The rows of the ledger as a file, oldest first",
        READ,
        tags=["Usage"],
        answer=ShownUsageReport,
        parameters=[*SPAN, DOWNLOAD, *FILTERS],
        refusals=(400,),
    )
    def get(self) -> StreamingHttpResponse:
        asked = GivenUsageReport(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        query = asked.validated_data["query"]
        kind = asked.validated_data["download"] or "ndjson"
        query = replace(query, filters=own_only(self.request, query.filters))
        rows = exports.find_requests(query)
        name = f"requests-{query.start}-{query.end}.{kind}"
        return downloads.download(name, exports.request_lines(rows, kind))


def own_only(
    request: Request, filters: Mapping[str, Sequence[str]]
) -> Mapping[str, Sequence[str]]:
    """The filters that a key without the scope `admin` may ask for: its own customer.

    Raises NotPermitted if it asks for another one.
    """
    who: Any = request.auth
    scopes = getattr(request.user, "scopes", ())
    if not isinstance(who, Principal) or Scope.ADMIN.value in scopes:
        return filters
    own = (str(who.customer_id),)
    if tuple(filters.get("customer", own)) != own:
        raise NotPermitted(
            "This key sees the use of its own customer only: it lacks the scope 'admin'.",
            param="customer",
        )
    return {**filters, "customer": own}
