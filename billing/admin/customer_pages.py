"""Pages of a customer that ask before they act: suspend and release."""

from typing import Any

from django.db import transaction

from billing.models import Customer
from valuecanvas.core.admin.pages import ConfirmPage
from valuecanvas.core.errors import Conflict

SUSPENDED = (
    "All requests of the customer are refused at once, until the customer is released."
)


class SuspendPage(ConfirmPage):
    name = "suspend"
    text = SUSPENDED
    verb, done, danger = "Suspend", "suspended", True
    suspended = True
    reason = ""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.title = f"{self.verb} {self.original}"

    def act(self, form: Any) -> str:
        self.reason = form.cleaned_data["reason"]
        with transaction.atomic():
            customer = Customer.objects.select_for_update().get(pk=self.original.pk)
            if customer.suspended == self.suspended:
                raise Conflict(f"The customer is {self.done} already.")
            customer.suspended = self.suspended
            customer.save(update_fields=["suspended"])
        return f"{customer} is {self.done}."

    def log(self, message: str) -> str:
        return f"{self.done.capitalize()}: {self.reason}"


class ReleasePage(SuspendPage):
    name = "release"
    text = "Requests of the customer are accepted again at once, within its limits."
    verb, done, danger = "Release", "released", False
    suspended = False
