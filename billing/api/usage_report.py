"""`GET /api/usage/report`: what was used and spent, by any dimension and time."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers as s

from billing.models import Scope
from billing.usage import reports
from billing.usage.reports import DIMENSIONS, Report, ReportError, UsageQuery
from valuecanvas.core.api.access import Need
from valuecanvas.core.api.bodies import StrictSerializer
from valuecanvas.core.api.endpoint import Endpoint, operation

READ = Need(Scope.ADMIN.value, "billing.view_usage")
NAMES = ", ".join(DIMENSIONS)
PARAMETERS = [
    OpenApiParameter("from", str, required=True, description="The first UTC day."),
    OpenApiParameter(
        "to", str, required=True, description="The UTC day after the last."
    ),
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
        "top", int, description="Only so many groups, of those that cost most."
    ),
    OpenApiParameter(
        "compare", bool, description="With the figures of as many days before."
    ),
    OpenApiParameter(
        "latency", bool, description="With p50, p95 and p99 in ms, within 2 %."
    ),
    *(
        OpenApiParameter(
            name, str, description="Only these values of the dimension, with commas."
        )
        for name in DIMENSIONS
    ),
]


class GivenUsageReport(StrictSerializer):
    """The query parameters of a report."""

    group_by = s.CharField(required=False, default="")
    bucket = s.CharField(required=False, default="")
    top = s.IntegerField(required=False, min_value=1, max_value=1000)
    compare = s.BooleanField(required=False, default=False)
    latency = s.BooleanField(required=False, default=False)

    def get_fields(self) -> dict[str, s.Field]:
        # 'from' is no name that Python allows.
        filters = {name: s.CharField(required=False) for name in DIMENSIONS}
        days = {name: s.DateField() for name in ("from", "to")}
        return {**super().get_fields(), **days, **filters}

    def validate(self, attrs: Mapping[str, Any]) -> UsageQuery:
        query = UsageQuery(
            start=attrs["from"],
            end=attrs["to"],
            group_by=_words(attrs["group_by"]),
            bucket=attrs["bucket"],
            filters={n: _words(attrs[n]) for n in DIMENSIONS if n in attrs},
            compare=attrs["compare"],
            top=attrs.get("top"),
            latency=attrs["latency"],
        )
        try:
            reports.check(query)
        except ReportError as error:
            raise s.ValidationError({error.field: str(error)}) from error
        return query


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
    """For keys with the scope `admin`, and for staff."""

    @operation(
        "retrieveUsageReport",
        "What was used and spent, by any dimension and time",
        READ,
        tags=["Usage"],
        answer=ShownUsageReport,
        parameters=PARAMETERS,
        refusals=(400,),
    )
    def get(self) -> Report:
        asked = GivenUsageReport(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        query: Any = asked.validated_data
        return reports.run(query)
