"""The kernel: epoch, group commit, errors, ids, money, Redis, crypto."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "valuecanvas.core"
    label = "core"
    default_auto_field = "django.db.models.BigAutoField"
