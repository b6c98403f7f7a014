"""The backups app."""

from django.apps import AppConfig
from django.utils.module_loading import import_string
from prometheus_client import REGISTRY


class BackupsConfig(AppConfig):
    name = "valuecanvas.backups"
    label = "backups"
    verbose_name = "Backups"

    def ready(self) -> None:
        # Its module needs the models first.
        REGISTRY.register(import_string("valuecanvas.backups.metrics.LastBackup")())
