"""Figures of prompts' versions, and experiments with their results, over REST."""

import datetime as dt
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers as s
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from llm.prompting import metrics
from llm.prompting.metrics import Figures, Point, Window
from llm.prompting.results import Results, results
from llm.views import experiment_shapes as shapes
from prompts.experiments.verdict import ExperimentVerdict
from prompts.models import Experiment, Prompt
from valuecanvas.core.api.access import Access, Need
from valuecanvas.core.api.openapi_schema import answers
from valuecanvas.core.api.paging import Paging
from valuecanvas.core.errors import NotFound

METRICS = Need("prompts:read", "prompts.view_prompt")
EXPERIMENTS = Need("prompts:read", "prompts.view_experiment")
LONGEST = dt.timedelta(days=92)
USUAL = dt.timedelta(days=7)


class SpanSerializer(s.Serializer):
    """The query of `metrics`."""

    since = s.DateTimeField(required=False)
    until = s.DateTimeField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        until = attrs.get("until") or timezone.now()
        try:
            since = attrs.get("since") or until - USUAL
        except OverflowError:
            raise s.ValidationError({"until": "That is too long ago."}) from None
        if not dt.timedelta() < until - since <= LONGEST:
            text = f"Ask for a time before 'until', and of {LONGEST.days} days at most."
            raise s.ValidationError({"since": text})
        return {"since": since, "until": until}


def _time(name: str, text: str) -> OpenApiParameter:
    return OpenApiParameter(name, dt.datetime, description=text)


@extend_schema_view(
    get=extend_schema(
        operation_id="promptMetrics",
        summary="Figures of a prompt's versions",
        parameters=[
            _time("since", "Default: 7 days before 'until'. At most 92 days."),
            _time("until", "Default: now."),
        ],
        responses=answers(shapes.ShownMetrics, 400, 404),
        tags=["Prompts"],
    )
)
class PromptMetrics(APIView):
    """Requests, money, latency, errors and feedback of each version, and over time."""

    permission_classes = [Access]
    needs = {"GET": METRICS}

    def get(self, request: Request, key: str) -> Response:
        if not Prompt.objects.filter(key=key).exists():
            raise NotFound(
                f"There is no prompt '{key[:200]}'.",
                param="key",
                code="prompt_not_found",
            )
        asked = SpanSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        span = Window(key, **asked.validated_data)
        found = metrics.figures(span)
        return Response(
            {
                "key": key,
                "since": span.since,
                "until": span.until,
                "step": span.step,
                "versions": [_version(one.name) | _figures(one) for one in found],
                "timeline": [
                    _version(one.name) | _point(one) for one in metrics.timeline(span)
                ],
            }
        )


@extend_schema_view(
    get=extend_schema(
        operation_id="listExperiments",
        summary="Experiments",
        parameters=[
            OpenApiParameter("prompt", str, description="Only those of this prompt."),
            OpenApiParameter("state", str, enum=["draft", "running", "stopped"]),
        ],
        responses=answers(shapes.ShownExperiment(many=True), 400),
        tags=["Experiments"],
    )
)
class Experiments(ListAPIView):
    """All experiments, without their results."""

    permission_classes = [Access]
    needs = {"GET": EXPERIMENTS}
    pagination_class = Paging.ordered_by("key")
    serializer_class = shapes.ShownExperiment

    def get_queryset(self) -> QuerySet[Experiment]:
        rows = Experiment.objects.select_related("prompt")
        rows = rows.prefetch_related("arms__version")
        asked = self.request.query_params
        if prompt := asked.get("prompt"):
            rows = rows.filter(prompt__key=prompt)
        if state := asked.get("state"):
            rows = rows.filter(state=state)
        return rows

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response([render_experiment(one) for one in page])


@extend_schema_view(
    get=extend_schema(
        operation_id="retrieveExperiment",
        summary="One experiment, with its results",
        description="The verdicts are valid at any time: the test is sequential.",
        responses=answers(shapes.ShownExperimentDetail, 404),
        tags=["Experiments"],
    )
)
class ExperimentDetail(APIView):
    """Each arm's figures, and what they allow to conclude."""

    permission_classes = [Access]
    needs = {"GET": EXPERIMENTS}

    def get(self, request: Request, key: str) -> Response:
        rows = Experiment.objects.select_related("prompt")
        found = rows.prefetch_related("arms__version").filter(key=key).first()
        if found is None:
            raise NotFound(
                f"There is no experiment '{key[:60]}'.",
                param="key",
                code="experiment_not_found",
            )
        known = results(found)
        more = {"results": _results(found, known) if known else None}
        return Response(render_experiment(found) | more)


def render_experiment(experiment: Experiment) -> dict[str, Any]:
    return {
        "key": experiment.key,
        "prompt": experiment.prompt.key,
        "state": experiment.state,
        "hypothesis": experiment.hypothesis,
        "metric": experiment.metric,
        "alpha": experiment.alpha,
        "tiers": experiment.tiers,
        "conditions": experiment.conditions,
        "arms": [
            {
                "name": arm.name,
                "version": arm.version.number if arm.version else None,
                "model": arm.model,
                "weight": arm.weight,
                "control": arm.control,
            }
            for arm in experiment.arms.all()
        ],
        "winner": experiment.winner,
        "reason": experiment.reason,
        "created_at": experiment.created_at,
        "started_at": experiment.started_at,
        "stopped_at": experiment.stopped_at,
    }


def _results(experiment: Experiment, found: Results) -> dict[str, Any]:
    first = found.verdicts[experiment.metric]
    others = [one for one in found.verdicts.values() if one is not first]
    return {
        "since": found.window.since,
        "until": found.window.until,
        "arms": [{"arm": name} | _figures(one) for name, one in found.figures.items()],
        "verdicts": [_verdict(one) for one in (first, *others)],
        "split_p": found.split_p,
        "split_wrong": found.split_wrong,
    }


def _verdict(one: ExperimentVerdict) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "kind": one.kind,
        "winner": one.winner,
        "headline": one.headline,
        "sentences": list(one.sentences),
        "comparisons": [
            {
                "arm": name,
                "difference": found.difference,
                "low": found.interval.low if found.interval else None,
                "high": found.interval.high if found.interval else None,
                "p": found.p,
            }
            for name, found in one.compared.items()
        ],
    }


def _version(name: str) -> dict[str, Any]:
    return {"version": int(name)}


def _figures(one: Figures) -> dict[str, Any]:
    return {
        "requests": one.requests,
        "users": one.users,
        "failed": one.failed,
        "error_rate": one.error_rate,
        "cached": one.cached,
        "cost_usd": f"{one.cost_usd:.6f}",
        "cost_per_request_usd": f"{one.cost_each:.6f}",
        "prompt_tokens": one.prompt_tokens,
        "completion_tokens": one.completion_tokens,
        "p50_ms": one.p50_ms,
        "p95_ms": one.p95_ms,
        "feedback": one.feedback,
        "feedback_count": one.feedback_count,
    }


def _point(one: Point) -> dict[str, Any]:
    return {
        "at": one.at,
        "requests": one.requests,
        "failed": one.failed,
        "cost_usd": one.cost_usd,
        "latency_ms": one.latency_ms,
        "feedback": one.feedback,
    }
