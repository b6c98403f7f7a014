"""Batches in the admin: their progress, their errors, and their end."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from llm.admin.jobs.job_acts import OPERATE
from llm.admin.jobs.job_filters import OwnerFilter, TagFilter
from llm.admin.jobs.owned_page import OwnedAdmin
from llm.jobs import batches
from llm.models import JobBatch
from llm.models.job_batch import OPEN_BATCH
from valuecanvas.core.admin.bases import display, fieldset
from valuecanvas.core.admin.columns import column, link
from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.core.admin.pages import ConfirmPage
from valuecanvas.core.errors import Conflict
from valuecanvas.core.templatetags import figures

# So many wrong lines of a batch are shown.
MOST_ERRORS = 200


class CancelBatchPage(ConfirmPage):
    """Cancels a batch with its open jobs."""

    name = "cancel"
    needs = "view"
    right = OPERATE
    form_class = ConsoleForm
    title = verb = "Cancel the batch"
    text = (
        "Its queued lines do not start, and its running ones end within seconds. Lines that "
        "were answered by then are billed, and stay in its output."
    )
    danger = True

    def act(self, form: Any) -> str:
        if not batches.cancel_batch(self.original.pk):
            self.original.refresh_from_db()
            state = self.original.get_state_display().lower()
            raise Conflict(f"Not possible: the batch is {state}.")
        return "Cancelled."


@admin.register(JobBatch)
class JobBatchAdmin(OwnedAdmin):
    list_display = (
        "created_at", "user", "endpoint", "result", "progress", "failed", "cost", "finished_at",
    )  # fmt: skip
    list_defer = ("errors", "metadata", "tags", "callback_url", "claim", "fingerprint")
    list_filter = (("state", ChoicesDropdownFilter), OwnerFilter, TagFilter)
    pages = (CancelBatchPage,)
    fieldsets = (
        fieldset(None, ("id", "result"), ("endpoint", "of_file")),
        fieldset("Who", ("customer", "key"), "tags_text"),
        fieldset("Lines", ("total", "succeeded"), ("failed", "cancelled"), ("cost", "on_limit")),
        fieldset("When", ("created_at", "started_at"), ("deadline", "finished_at")),
        fieldset("Of the client", "callback_url", "metadata", classes=("collapse",)),
    )  # fmt: skip
    change_form_outer_after_template = "admin/llm/jobbatch/after.html"
    empty_text = (
        "A batch is many jobs that are submitted together, by POST /api/llm/batches or "
        "with OpenAI's SDK."
    )

    def details(self, request: HttpRequest, row: JobBatch) -> dict[str, Any]:
        return {
            "wrong_lines": row.errors[:MOST_ERRORS],
            "more_lines": max(0, len(row.errors) - MOST_ERRORS),
            "ended_percent": ended_percent(row),
            "may_cancel": row.state in OPEN_BATCH and request.user.has_perm(OPERATE),
        }

    @display(description="Progress")
    def progress(self, batch: JobBatch) -> str:
        return f"{ended_percent(batch)}\u00a0% of {figures.commas(batch.total)}"

    cost = column("Cost", "cost_usd", figures.usd)

    @display(description="File")
    def of_file(self, batch: JobBatch) -> str:
        found = batch.file
        return link("llm_jobfile", found.pk, found.filename) if found else "–"


def ended_percent(batch: JobBatch) -> int:
    """The share of its lines that have ended, in whole percent, rounded down."""
    ended = batch.succeeded + batch.failed + batch.cancelled
    return 100 * ended // batch.total if batch.total else 0
