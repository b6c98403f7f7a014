"""Billing: customers and keys, limits and budgets, prices and the ledger."""

from django.apps import AppConfig
from django.utils.module_loading import import_string
from prometheus_client import REGISTRY


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Customers & spend"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Their module needs the models first.
        REGISTRY.register(import_string("billing.metrics.LastCheck")())
        REGISTRY.register(import_string("billing.metrics.FiringAlerts")())
