"""Tiers in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from billing.accounting import quota
from billing.admin.minute_limits import minute_limits
from billing.models import Tier
from valuecanvas.core.admin.bases import display, fieldset
from valuecanvas.core.admin.guard import Effects, GuardedAdmin
from valuecanvas.core.templatetags import figures


@admin.register(Tier)
class TierAdmin(GuardedAdmin):
    list_display = (
        "name",
        "key",
        "daily_requests",
        "max_output_tokens",
        "upgrade_to",
        "customers_count",
    )
    list_select_related = ("upgrade_to",)
    fixed_fields = ("key",)
    search_fields = ("key", "name")
    fieldsets = (
        fieldset(
            None,
            "key",
            "name",
            "daily_requests",
            "max_output_tokens",
            "hits_take_quota",
            "upgrade_to",
        ),
        minute_limits("Empty: no limit."),
    )
    empty_text = (
        "A tier says how much a customer may use in a day. Add one such as 'free'."
    )

    def effects(self, request: HttpRequest, before: Any, after: Any) -> Effects:
        limit = after.daily_requests
        if before is None or limit >= before.daily_requests:
            return {}
        over = quota.count_newly_refused(after.pk, limit, before.daily_requests)
        if not over:
            return {}
        return {
            "quota": f"Customers of this tier with {figures.commas(limit)} requests or "
            f"more today: {figures.commas(over)}. Their further requests are refused "
            "until midnight UTC."
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).annotate(held=Count("customers"))  # type: ignore[no-any-return]

    @display(description="Customers", ordering="held")
    def customers_count(self, tier: Any) -> int:
        return int(tier.held)
