"""The wiring on top: settings, URLs, the admin site, health, commands."""

from django.apps import AppConfig


class ValueCanvasConfig(AppConfig):
    name = "valuecanvas"
    verbose_name = "Operations"
