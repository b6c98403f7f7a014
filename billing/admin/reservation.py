"""Reservations in the admin: money held for requests under way."""

from typing import Any

from django.contrib import admin
from django.utils import timezone

from billing.admin.customer_name import customer_link
from billing.models import Reservation
from billing.models.customer import full_name
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.columns import column
from valuecanvas.core.templatetags import figures


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = (
        "created_at",
        "user",
        "model_name",
        "team",
        "held",
        "state",
        "lease_until",
    )
    ordering = ("-id",)
    search_fields = ("=key", "=team")
    search_help_text = "The whole prefix of a key, or a team."
    fields = (
        "id",
        "user",
        "model_name",
        "team",
        "key",
        "held",
        "day",
        "lease_until",
        "state",
        "epoch",
        "created_at",
    )
    empty_text = (
        "No request is under way, so no money is held. A reservation exists while its "
        "request runs; then Requests lists the request."
    )

    held = column("Held", "estimate", figures.micros, ordering="estimate")

    @display(description="User")
    def user(self, reservation: Reservation) -> Any:
        name = full_name(reservation.facts.get("user_id", ""), reservation.team)
        return customer_link(reservation.customer_id, name)

    @display(description="Model")
    def model_name(self, reservation: Reservation) -> Any:
        return reservation.facts.get("model", "")

    @display(description="State", label={"running": "info", "lease expired": "warning"})
    def state(self, reservation: Reservation) -> str:
        late = reservation.lease_until < timezone.now()
        return "lease expired" if late else "running"
