"""Figures of prompts' versions, and experiments with their results, over REST."""

import datetime as dt
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers as s

from llm.prompting import metrics
from llm.prompting.metrics import Window
from llm.prompting.results import Results, results
from llm.views import experiment_shapes as shapes
from prompts.experiments.verdict import ExperimentVerdict
from prompts.models import Experiment, Prompt
from prompts.models.experiment import ExperimentState
from valuecanvas.core.api.access import Need
from valuecanvas.core.api.bodies import Choice, Text
from valuecanvas.core.api.endpoint import Endpoint, PageQuery, operation
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


class PromptMetrics(Endpoint):
    """Requests, money, latency, errors and feedback of each version, and over time."""

    @operation(
        "getPromptMetrics",
        "Figures of a prompt's versions",
        METRICS,
        tags=["Prompts"],
        answer=shapes.ShownMetrics,
        parameters=[
            _time("since", "Default: 7 days before 'until'. At most 92 days."),
            _time("until", "Default: now."),
        ],
        refusals=(400, 404),
    )
    def get(self) -> dict[str, Any]:
        key = self.kwargs["key"]
        if not Prompt.objects.filter(key=key).exists():
            raise NotFound(
                f"There is no prompt '{key[:200]}'.",
                param="key",
                code="prompt_not_found",
            )
        asked = SpanSerializer(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        span = Window(key, **asked.validated_data)
        found, points = metrics.figures(span), metrics.timeline(span)
        return {
            "key": key,
            "since": span.since,
            "until": span.until,
            "step": span.step,
            "versions": shapes.VersionFigures(found, many=True).data,
            "timeline": shapes.VersionPoint(points, many=True).data,
        }


class ExperimentFilters(PageQuery):
    """The query of a list of experiments."""

    prompt = Text(200, "Only those of this prompt.")
    state = Choice(ExperimentState.choices, required=False, help_text="Only these.")


class ExperimentEndpoint(Endpoint):
    """The base of endpoints of experiments."""

    def experiments(self) -> "QuerySet[Experiment]":
        rows = Experiment.objects.select_related("prompt")
        return rows.prefetch_related("arms__version")


class Experiments(ExperimentEndpoint):
    """All experiments, without their results."""

    @operation(
        "listExperiments",
        "Experiments",
        EXPERIMENTS,
        tags=["Experiments"],
        answer=shapes.ShownExperiment,
        query=ExperimentFilters,
        paged_by="key",
        refusals=(),
    )
    def get(self, asked: dict[str, Any]) -> "QuerySet[Experiment]":
        filters = {"prompt__key": asked.get("prompt"), "state": asked.get("state")}
        given = {name: value for name, value in filters.items() if value}
        return self.experiments().filter(**given)


class ExperimentDetail(ExperimentEndpoint):
    """The verdicts are valid at any time: the test is sequential."""

    @operation(
        "retrieveExperiment",
        "One experiment, with its results",
        EXPERIMENTS,
        tags=["Experiments"],
        answer=shapes.ShownExperimentDetail,
    )
    def get(self) -> dict[str, Any]:
        key = self.kwargs["key"]
        found = self.experiments().filter(key=key).first()
        if found is None:
            raise NotFound(
                f"There is no experiment '{key[:60]}'.",
                param="key",
                code="experiment_not_found",
            )
        known = results(found)
        more = {"results": _results(found, known) if known else None}
        return dict(shapes.ShownExperiment(found).data) | more


def _results(experiment: Experiment, found: Results) -> dict[str, Any]:
    first = found.verdicts[experiment.metric]
    others = [one for one in found.verdicts.values() if one is not first]
    return {
        "since": found.window.since,
        "until": found.window.until,
        "arms": shapes.ArmFigures(found.figures.values(), many=True).data,
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
