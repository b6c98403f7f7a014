"""The wiring on top: settings, URLs, the admin site, health, commands."""

import warnings

from django.apps import AppConfig
from prometheus_client import disable_created_metrics


class ValueCanvasConfig(AppConfig):
    name = "valuecanvas"
    verbose_name = "Operations"

    def ready(self) -> None:
        # When each series began: a third of the text, and nobody asks.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        # Static files and pages with parts; Django reads them in a thread, which is fine.
        warnings.filterwarnings("ignore", "StreamingHttpResponse must consume sync")
