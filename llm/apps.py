"""The gateway: providers, routing, breaker, pipeline, streaming."""

from django.apps import AppConfig


class LlmConfig(AppConfig):
    name = "llm"
    verbose_name = "Gateway"
    default_auto_field = "django.db.models.BigAutoField"
