"""What was sent of an alert, or to a channel, on its page."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from valuecanvas.core.admin.pages import Page
from valuecanvas.core.webhooks.models import DeliveryState

# How often the page looks while something is on its way.
LOOK_S = 2


def deliveries_of(admin: Any, row: Any) -> dict[str, Any]:
    """The context of the list: the deliveries that `admin` finds for its row."""
    found = list(
        admin.deliveries(row).select_related("endpoint__channel").defer("body")
    )
    name = f"{row._meta.app_label}_{row._meta.model_name}_deliveries"
    waiting = any(one.state == DeliveryState.WAITING for one in found)
    return {
        "deliveries": found,
        "look_again": reverse(f"admin:{name}", args=[row.pk]) if waiting else "",
        "look_s": LOOK_S,
    }


class DeliveriesPage(Page):
    """The list alone, for a page that shows it while something is on its way."""

    name = "deliveries"
    needs = "view"

    def answer(self) -> HttpResponse:
        context = deliveries_of(self.admin, self.original)
        return self.fragment(
            "admin/billing/deliveries.html",
            **context,
            perms_view=self.request.user.has_perm("core.view_webhookdelivery"),
        )
