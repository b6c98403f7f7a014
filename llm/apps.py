"""The gateway: providers, routing, breaker, pipeline, streaming."""

from django.apps import AppConfig
from django.utils.functional import cached_property
from django.utils.module_loading import import_string
from prometheus_client import REGISTRY


class LlmConfig(AppConfig):
    name = "llm"
    verbose_name = "Gateway"
    default_auto_field = "django.db.models.BigAutoField"

    @cached_property
    def gateway_thread(self) -> object:
        """The process's gateway thread; its module needs the models first."""
        return import_string("llm.gateway.GatewayThread")()

    @cached_property
    def process_worker(self) -> object:
        """The process's worker of jobs."""
        return import_string("llm.jobs.worker.worker_process.ProcessWorker")()

    def ready(self) -> None:
        # Its module needs the models first.
        REGISTRY.register(import_string("llm.jobs.metrics.QueueCollector")())
