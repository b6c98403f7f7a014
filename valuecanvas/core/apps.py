"""The core app: epoch, group commit, errors, ids, money, Redis, encryption."""

from django.apps import AppConfig
from django.conf import settings
from django.utils.functional import cached_property
from django.utils.module_loading import import_string
from prometheus_client import REGISTRY

from valuecanvas.core.telemetry import logs


class CoreConfig(AppConfig):
    name = "valuecanvas.core"
    label = "core"
    verbose_name = "Operations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        logs.configure(settings.LOG_LEVEL, settings.LOG_FORMAT)
        if settings.SENTRY_DSN:
            # Nobody else pays for the import.
            import_string("valuecanvas.core.telemetry.errors.start")()
        # Its module needs the models first.
        figures = import_string("valuecanvas.core.webhooks.metrics.WebhookFigures")
        REGISTRY.register(figures())

    @cached_property
    def message_thread(self) -> object:
        """The process's thread that sends messages to workers."""
        return import_string("valuecanvas.core.db.worker_messages.MessageThread")()

    @cached_property
    def span_export(self) -> object:
        """The process's exporter of traces; imported only where they are on."""
        return import_string("valuecanvas.core.telemetry.span_export.SpanExport")()
