"""Webhooks and their endpoints in the admin."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.admin.customer_name import customer_link, names_of
from valuecanvas.core.admin.bases import (
    ExactSearchAdmin,
    LargeTableAdmin,
    ReadOnlyAdmin,
    action,
    display,
)
from valuecanvas.core.admin.columns import link
from valuecanvas.core.admin.filters import ConditionFilter, TimeFilter
from valuecanvas.core.admin.pages import ConfirmPage, Page
from valuecanvas.core.models import WebhookDelivery, WebhookEndpoint
from valuecanvas.core.webhooks import deliveries, endpoints
from valuecanvas.core.webhooks.models import DeliveryState

RESEND = "core.resend_webhookdelivery"
CHANGE = "core.change_webhookendpoint"
WHY_LEFT = "They wait already, or their endpoint is disabled: enable it first."


class WebhookOwnerAdmin(ReadOnlyAdmin, ExactSearchAdmin):
    """Rows of customers, found by the whole id of a customer or a whole URL."""

    def attach(self, rows: list[Any]) -> None:
        kinds = [row.owner.partition(":") for row in rows]
        names = names_of(key for kind, _, key in kinds if kind == "customer")
        for row, (_, _, key) in zip(rows, kinds, strict=True):
            name = names.get(key)
            row.customer = customer_link(key, name) if name else row.owner

    def owners(self, term: str) -> Q:
        """The condition of endpoints with this URL or owner."""
        return Q(url=term) | Q(owner__in=[term, f"customer:{term}"])

    @display(description="Customer")
    def owner_link(self, row: Any) -> str:
        if not hasattr(row, "customer"):
            self.attach([row])
        found: str = row.customer
        return found


class ResendPage(Page):
    """Sends a webhook again."""

    name = "resend"
    needs = "view"
    right = RESEND
    post_only = True

    def answer(self) -> HttpResponse:
        rows = WebhookDelivery.objects.filter(pk=self.original.pk)
        self.admin.resend(self.request, rows)
        return redirect(self.back_url())


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(WebhookOwnerAdmin, LargeTableAdmin):
    list_display = (
        "created_at", "type", "result", "attempts", "endpoint_link", "owner_link", "last_error", "due",
    )  # fmt: skip
    list_select_related = ("endpoint",)
    list_defer = ("body", "history")
    list_filter = (("created_at", TimeFilter), ("state", ChoicesDropdownFilter))
    search_help_text = "The whole id of a webhook, an endpoint or a customer; or a URL."
    ordering = ("-id",)
    actions = ("resend_selected",)
    pages = (ResendPage,)
    fields = (
        ("id", "type"), ("result", "attempts"), ("endpoint_link", "owner_link"),
        ("created_at", "finished_at"), ("due", "last_error"), "body",
    )  # fmt: skip
    change_form_outer_after_template = "admin/core/webhookdelivery/after.html"
    empty_text = (
        "A job or batch with a callback URL sends a webhook when it ends. "
        "Webhooks are listed here, with each attempt."
    )

    def condition(self, term: str) -> Q:
        owners = WebhookEndpoint.objects.filter(self.owners(term))
        try:
            key = uuid.UUID(term)
        except ValueError:
            return Q(endpoint__in=owners)
        return Q(pk=key) | Q(endpoint=key) | Q(endpoint__in=owners)

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RESEND)

    @action(description="Send again", permissions=["resend"])
    def resend_selected(
        self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]
    ) -> None:
        self.resend(request, queryset)

    def resend(self, request: HttpRequest, rows: QuerySet[WebhookDelivery]) -> None:
        """Send again those that may be, and say how many."""
        asked = rows.count()
        again = deliveries.send_again(rows)
        if again:
            self.record(request, again, "Sent again.")
            messages.success(request, f"Sent again: {len(again)}.")
        if left := asked - len(again):
            messages.warning(request, f"Not sent again: {left}. {WHY_LEFT}")

    @display(
        description="State",
        ordering="state",
        label={"Waiting": "info", "Delivered": "success", "Failed": "danger"},
    )
    def result(self, row: WebhookDelivery) -> str:
        return row.get_state_display()

    @display(description="URL")
    def endpoint_link(self, row: WebhookDelivery) -> str:
        return link("core_webhookendpoint", row.endpoint_id, row.endpoint.url)

    @display(description="Next attempt")
    def due(self, row: WebhookDelivery) -> datetime | str:
        return row.next_at if row.state == DeliveryState.WAITING else "–"


class EndpointPage(ConfirmPage):
    """Changes an endpoint after a question."""

    needs = "view"
    right = CHANGE
    form_class = forms.Form
    done: ClassVar[str]
    service: ClassVar[Callable[..., None]]

    def act(self, form: Any) -> str:
        type(self).service(self.original)
        return self.done


class EnableEndpointPage(EndpointPage):
    name = "enable"
    recent_login = True
    title = verb = "Enable again"
    text = (
        "Webhooks are sent there again from now on. Those that failed meanwhile are "
        "not: choose them in the list and send them again."
    )
    done = "Enabled."
    service = staticmethod(endpoints.enable_endpoint)


class RotateSecretPage(EndpointPage):
    name = "rotate"
    recent_login = True
    title = verb = "Rotate the secret"
    text = (
        "A new secret signs what is sent from now on; for 24 hours the old one signs "
        "too. The customer reads the new one by GET /api/llm/callbacks."
    )
    done = "Rotated the secret."
    service = staticmethod(endpoints.rotate_secret)


class EndpointStateFilter(ConditionFilter):
    title = "state"
    parameter_name = "is"

    def conditions(self) -> list[tuple[str, str, Q]]:
        off = Q(disabled_at__isnull=False)
        failing = Q(failing_since__isnull=False)
        return [
            ("disabled", "Disabled", off),
            ("failing", "Failing", failing & ~off),
            ("enabled", "Enabled", ~failing & ~off),
        ]


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(WebhookOwnerAdmin):
    list_display = ("url", "owner_link", "status", "delivered", "failed", "last_error", "last_failed_at")  # fmt: skip
    list_filter = (EndpointStateFilter,)
    search_help_text = "A whole URL, or the whole id of a customer."
    pages = (EnableEndpointPage, RotateSecretPage)
    fields = (
        "url", ("owner_link", "created_at"), ("status", "disabled_reason"), "disabled_at",
        ("delivered", "failed"), ("last_failed_at", "last_error"), "previous_until",
    )  # fmt: skip
    change_form_outer_after_template = "admin/core/webhookendpoint/after.html"
    empty_text = (
        "A URL that a customer gave for callbacks. Each has a secret of its own, which "
        "only the customer can read."
    )

    def condition(self, term: str) -> Q:
        return self.owners(term)

    @display(
        description="State",
        label={"enabled": "success", "failing": "warning", "disabled": "danger"},
    )
    def status(self, row: WebhookEndpoint) -> str:
        return row.state
