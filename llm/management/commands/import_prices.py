"""`manage.py import_prices`: updates prices from the genai-prices package."""

from typing import Any

from django.core.management.base import BaseCommand

from billing.pricing import prices
from llm.models import Route
from llm.setup import catalogue


class Command(BaseCommand):
    help = (
        "Add the price package's prices of all routes: missing ones, and new dated rows "
        "where a price changed. Prices set by an operator are left alone."
    )

    def handle(self, **options: Any) -> str:
        routes = Route.objects.select_related("provider")
        added = prices.refresh_prices(
            (
                route.provider_id,
                catalogue.price_source(route.provider.kind, route.provider_id),
                route.upstream_model,
            )
            for route in routes
        )
        return f"Added {added} prices."
