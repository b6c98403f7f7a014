"""The top-level app: settings, URLs, the admin site, health checks, commands."""

import warnings

from django.apps import AppConfig
from prometheus_client import disable_created_metrics

from valuecanvas import celery


class ValueCanvasConfig(AppConfig):
    name = "valuecanvas"
    verbose_name = "Operations"

    def ready(self) -> None:
        # Each thread that sends a task must use this broker, not Celery's default.
        celery.app.set_default()
        # The creation times of series are a third of the text, and are not used.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        # Django reads static files and streamed pages in a thread, which is fine.
        warnings.filterwarnings("ignore", "StreamingHttpResponse must consume sync")
