"""The answers of the endpoints of metrics and experiments, for the OpenAPI document."""

from rest_framework import serializers as s

from prompts.experiments.verdict import BETTER, EARLY, NONE, WORSE


class ShownFigures(s.Serializer):
    requests = s.IntegerField()
    users = s.IntegerField(help_text="In an experiment: distinct subjects.")
    failed = s.IntegerField()
    error_rate = s.FloatField(help_text="Without those whose client went away.")
    cached = s.IntegerField(help_text="Answered from stored answers.")
    cost_usd = s.DecimalField(max_digits=18, decimal_places=6)
    cost_per_request_usd = s.DecimalField(
        source="cost_each", max_digits=18, decimal_places=6
    )
    prompt_tokens = s.IntegerField()
    completion_tokens = s.IntegerField()
    p50_ms = s.IntegerField(allow_null=True)
    p95_ms = s.IntegerField(allow_null=True)
    feedback = s.FloatField(allow_null=True, help_text="The mean score, -1 to 1.")
    feedback_count = s.IntegerField()


class VersionFigures(ShownFigures):
    version = s.IntegerField(source="name")


class ShownPoint(s.Serializer):
    at = s.DateTimeField()
    requests = s.IntegerField()
    failed = s.IntegerField()
    cost_usd = s.FloatField()
    latency_ms = s.FloatField(allow_null=True)
    feedback = s.FloatField(allow_null=True)


class VersionPoint(ShownPoint):
    version = s.IntegerField(source="name")


class ShownMetrics(s.Serializer):
    key = s.CharField()
    since = s.DateTimeField()
    until = s.DateTimeField()
    step = s.ChoiceField(["hour", "day"], help_text="Of the timeline.")
    versions = VersionFigures(many=True)
    timeline = VersionPoint(many=True)


class ShownArm(s.Serializer):
    name = s.CharField()
    version = s.IntegerField(
        source="version.number",
        allow_null=True,
        help_text="null: what 'production' points at.",
    )
    model = s.CharField(allow_blank=True, help_text="'': the version's.")
    weight = s.IntegerField(help_text="Hundredths of a percent.")
    control = s.BooleanField()


class ArmFigures(ShownFigures):
    arm = s.CharField(source="name")


class ShownComparison(s.Serializer):
    arm = s.CharField()
    difference = s.FloatField(help_text="The arm's mean less the control's.")
    low = s.FloatField(allow_null=True)
    high = s.FloatField(allow_null=True)
    p = s.FloatField(allow_null=True, help_text="Valid at any time.")


class ShownVerdict(s.Serializer):
    metric = s.CharField()
    kind = s.CharField(help_text=f"{EARLY}, {NONE}, {BETTER} or {WORSE}.")
    winner = s.CharField(allow_blank=True)
    headline = s.CharField()
    sentences = s.ListField(child=s.CharField())
    comparisons = ShownComparison(many=True)


class ShownResults(s.Serializer):
    since = s.DateTimeField(help_text="The last change of weights, or the start.")
    until = s.DateTimeField()
    arms = ArmFigures(many=True)
    verdicts = ShownVerdict(many=True, help_text="The one that decides comes first.")
    split_p = s.FloatField(help_text="Small: users are lost; trust no result.")
    split_wrong = s.BooleanField()


class ShownExperiment(s.Serializer):
    key = s.CharField()
    prompt = s.CharField(source="prompt.key")
    state = s.ChoiceField(["draft", "running", "stopped"])
    hypothesis = s.CharField(allow_blank=True)
    metric = s.CharField(help_text="The metric that decides.")
    alpha = s.FloatField()
    tiers = s.ListField(child=s.CharField())
    conditions = s.ListField(child=s.DictField())
    arms = ShownArm(many=True)
    winner = s.CharField(allow_blank=True)
    reason = s.CharField(allow_blank=True)
    created_at = s.DateTimeField()
    started_at = s.DateTimeField(allow_null=True)
    stopped_at = s.DateTimeField(allow_null=True)


class ShownExperimentDetail(ShownExperiment):
    results = ShownResults(allow_null=True, help_text="null before it starts.")
