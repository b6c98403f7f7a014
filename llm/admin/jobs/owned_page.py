"""What the pages of jobs, batches and files have in common: their owner and their state."""

from typing import Any

from django.db.models import Q

from billing.admin.customer_name import customer_link
from billing.models.customer import full_name
from llm.admin.jobs.job_filters import find_id, owned_by
from valuecanvas.core.admin.bases import (
    ExactSearchAdmin,
    LargeTableAdmin,
    ReadOnlyAdmin,
    display,
)

# Of jobs and of batches.
STATES = {
    "Queued": "info",
    "Validating": "info",
    "Running": "info",
    "In progress": "info",
    "Succeeded": "success",
    "Completed": "success",
    "Failed": "danger",
    "Dead letter": "danger",
    "Expired": "danger",
    "Cancelling": "warning",
    "Cancelled": "warning",
}


class OwnedAdmin(ReadOnlyAdmin, LargeTableAdmin, ExactSearchAdmin):
    """Read-only rows of customers, the newest first."""

    ordering = ("-id",)  # as the time goes, and indexed
    search_help_text = "Its whole id, or that of a customer, or a user id."

    def condition(self, term: str) -> Q:
        found = find_id(term)
        if found and self.model._default_manager.filter(pk=found).exists():
            return Q(pk=found)
        return owned_by(term)

    @display(description="User")
    def user(self, row: Any) -> str:
        return full_name(row.user_id, row.team)

    @display(description="Customer")
    def customer(self, row: Any) -> str:
        return customer_link(row.customer_id, self.user(row))

    @display(description="State", label=STATES)
    def result(self, row: Any) -> str:
        return str(row.get_state_display())

    @display(description="Tags")
    def tags_text(self, row: Any) -> str:
        return ", ".join(row.tags) or "–"
