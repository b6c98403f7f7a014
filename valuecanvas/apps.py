"""The wiring on top: settings, URLs, the admin site, health, commands."""

import warnings

from django.apps import AppConfig


class ValueCanvasConfig(AppConfig):
    name = "valuecanvas"
    verbose_name = "Operations"

    def ready(self) -> None:
        # Static files and pages with parts; Django reads them in a thread, which is fine.
        warnings.filterwarnings("ignore", "StreamingHttpResponse must consume sync")
