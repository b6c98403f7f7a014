"""Who calls, what they may spend, what they spent."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Customers & spend"
    default_auto_field = "django.db.models.BigAutoField"
