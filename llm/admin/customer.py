"""The admin of customers, with export and erasure of all that one sent."""

from typing import Any

from django.contrib import admin
from django.http.response import HttpResponseBase

from billing.admin.customer import CustomerAdmin
from billing.models import Customer
from llm.privacy.customer_export import export_lines
from llm.privacy.erasure import erase
from valuecanvas.core.access.recent_login import RecentLoginAdmin
from valuecanvas.core.admin.pages import ConfirmPage, Page
from valuecanvas.core.templatetags import figures
from valuecanvas.core.transfer import downloads


class ExportPage(Page):
    """Sends all rows of the customer as lines of JSON."""

    name = "export"
    needs = "view"
    right = "billing.export_customer"
    recent_login = True

    def answer(self) -> HttpResponseBase:
        self.admin.record(self.request, [self.original], "Exported.")
        name = f"customer-{self.original.pk}.ndjson"
        return downloads.download(name, export_lines(self.original))


class ErasePage(ConfirmPage):
    name = "erase"
    needs = "change"
    right = "billing.erase_customer"
    recent_login = True
    text = (
        "The user id, labels of end users and comments are removed from all rows of this "
        "customer, and its jobs, files, refusals, stored answers and callbacks are "
        "deleted. Its keys are revoked. Requests, tokens and amounts stay, without a "
        "name. This cannot be undone. Backups keep the data until they expire. A later "
        "request with this user id makes a new customer."
    )
    verb, danger = "Erase for good", True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.title = f"Erase {self.original}"

    def act(self, form: Any) -> str:
        count = figures.commas(erase(self.original.pk))
        self.original.refresh_from_db()
        reason = form.cleaned_data["reason"]
        self.reason = f"Erased, with {count} rows of the ledger: {reason}"
        return f"The customer is erased, with {count} rows of the ledger."

    def log(self, message: str) -> str:
        return self.reason


@admin.register(Customer)
class CustomerDataAdmin(RecentLoginAdmin, CustomerAdmin):
    recent_acts = frozenset({"delete"})
    pages = (*CustomerAdmin.pages, ExportPage, ErasePage)
