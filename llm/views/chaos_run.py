"""Runs of chaos experiments and drills over REST, to read: no route starts or stops one."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from rest_framework import serializers as s
from rest_framework.request import Request

from llm.models.chaos import ACTIVE, ChaosRun, RunState
from valuecanvas.core.api.access import Need
from valuecanvas.core.api.bodies import Choice
from valuecanvas.core.api.endpoint import Endpoint, PageQuery, operation
from valuecanvas.core.errors import NotFound

READ = Need("chaos:read", "llm.view_chaosrun")


class RunFilters(PageQuery):
    """The query of the list of runs."""

    state = Choice(RunState.choices, required=False, help_text="Only these.")
    active = s.BooleanField(
        required=False, default=False, help_text="`true`: only those not ended yet."
    )


class ShownChaosRun(s.ModelSerializer):
    kind = s.SerializerMethodField(help_text="experiment or drill")
    started_by = s.CharField(
        source="started_by.username", default="", help_text="'': a schedule."
    )
    stopped_by = s.CharField(source="stopped_by.username", default="")

    class Meta:
        model = ChaosRun
        fields = (
            "id", "name", "kind", "state", "verdict", "reason", "injected", "started_by",
            "stopped_by", "started_at", "ends_at", "ended_at",
        )  # fmt: skip

    def get_kind(self, run: ChaosRun) -> str:
        return "drill" if run.is_drill else "experiment"


class ShownSample(s.Serializer):
    at = s.CharField()
    phase = s.CharField(help_text="before, during or after the faults.")
    requests = s.IntegerField(default=0)
    errors = s.IntegerField(default=0)  # type: ignore[assignment]  # a name of Serializer
    p95_ms = s.FloatField(allow_null=True, default=None)
    cost_usd = s.FloatField(allow_null=True, default=None)
    injected = s.IntegerField(default=0)


class ShownFinding(s.Serializer):
    expected = s.CharField()
    seen = s.CharField()
    holds = s.BooleanField(
        allow_null=True, help_text="null: too few requests to judge."
    )


class ShownChaosRunDetail(ShownChaosRun):
    plan = s.JSONField(help_text="What is injected, and into which calls.")
    limits = s.JSONField(help_text="Its steady state; empty: a drill's.")
    samples = ShownSample(many=True)
    findings = ShownFinding(many=True)

    class Meta(ShownChaosRun.Meta):
        fields = (*ShownChaosRun.Meta.fields, "plan", "limits", "samples", "findings")  # type: ignore[assignment]  # longer


class ChaosEndpoint(Endpoint):
    """The base of endpoints of runs: none is there while CHAOS_ENABLED is off."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not settings.CHAOS_ENABLED:
            # Before anybody is asked who they are: it is the same for all.
            raise NotFound("Chaos is off here: CHAOS_ENABLED.", code="unknown_path")
        super().initial(request, *args, **kwargs)

    def runs(self) -> "QuerySet[ChaosRun]":
        return ChaosRun.objects.select_related("started_by", "stopped_by")


class ChaosRuns(ChaosEndpoint):
    """All runs, the newest first, without what was measured."""

    @operation(
        "listChaosRuns",
        "Runs of chaos experiments and drills",
        READ,
        tags=["Chaos"],
        answer=ShownChaosRun,
        query=RunFilters,
        paged_by="-started_at",
    )
    def get(self, asked: dict[str, Any]) -> "QuerySet[ChaosRun]":
        found = self.runs().defer("plan", "samples", "findings")
        if asked["active"]:
            found = found.filter(state__in=ACTIVE)
        return found.filter(state=asked["state"]) if asked.get("state") else found


class ChaosRunDetail(ChaosEndpoint):
    """What was injected, what was measured, and what was found."""

    @operation(
        "retrieveChaosRun",
        "One run, with its samples and findings",
        READ,
        tags=["Chaos"],
        answer=ShownChaosRunDetail,
    )
    def get(self) -> ChaosRun:
        run_id = self.kwargs["run_id"]
        try:
            found = self.runs().filter(pk=run_id).first()
        except ValidationError:  # no UUID
            found = None
        if found is None:
            raise NotFound(
                f"There is no run '{run_id[:60]}'.", param="id", code="run_not_found"
            )
        return found
