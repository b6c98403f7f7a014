"""`GET /api/queue/metrics`: the figures of the queue for operators."""

from rest_framework import serializers as s

from llm.jobs.metrics import QueueFigures, queue_figures
from llm.models import JobPause, JobWorker
from valuecanvas.core.api.access import Need
from valuecanvas.core.api.endpoint import Endpoint, operation

READ = Need("queue:read", "llm.view_job")


class ShownDepth(s.Serializer):
    type = s.CharField()
    state = s.CharField(help_text="queued, running, or dead: a dead letter.")
    count = s.IntegerField()


class ShownThroughput(s.Serializer):
    last_5_minutes = s.SerializerMethodField()
    last_60_minutes = s.SerializerMethodField()

    def get_last_5_minutes(self, figures: QueueFigures) -> float:
        return figures.per_minute(5)

    def get_last_60_minutes(self, figures: QueueFigures) -> float:
        return figures.per_minute(60)


class ShownFailureReason(s.Serializer):
    error_code = s.CharField()
    count = s.IntegerField()


class ShownWorker(s.ModelSerializer):
    cpu_percent = s.FloatField(source="cpu", help_text="Of one core.")

    class Meta:
        model = JobWorker
        fields = (
            "id", "host", "pid", "slots", "running", "done", "cpu_percent", "started_at",
            "seen_at",
        )  # fmt: skip


class ShownPause(s.ModelSerializer):
    class Meta:
        model = JobPause
        fields = ("type", "reason", "by", "at")


class ShownQueue(s.Serializer):
    at = s.DateTimeField()
    depth = ShownDepth(many=True)
    oldest_seconds = s.FloatField(
        help_text="How long the oldest job waits whose time has come; paused types do not count."
    )
    retries = s.IntegerField(help_text="Queued again after a failed attempt.")
    waiting_for_limits = s.IntegerField(
        source="waiting",
        help_text="Queued until their owner has quota or budget again.",
    )
    dead_letters = s.IntegerField(source="dead")
    ended_per_minute = ShownThroughput(source="*")
    failures_of_last_day = ShownFailureReason(source="failures", many=True)
    workers = ShownWorker(many=True)
    paused = ShownPause(many=True)


class QueueMetrics(Endpoint):
    """Of all customers: a key of one customer needs the scope for it."""

    @operation(
        "getQueueMetrics",
        "Figures of the queue of jobs",
        READ,
        tags=["Jobs"],
        answer=ShownQueue,
        refusals=(),
    )
    def get(self) -> QueueFigures:
        return queue_figures()
