"""The core app: epoch, group commit, errors, ids, money, Redis, encryption."""

from django.apps import AppConfig
from django.conf import settings

from valuecanvas.core import log


class CoreConfig(AppConfig):
    name = "valuecanvas.core"
    label = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        log.configure(settings.LOG_LEVEL)
