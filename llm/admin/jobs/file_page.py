"""Uploaded files in the admin: whose they are, how large, and their end."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from llm.admin.jobs.job_filters import OwnerFilter
from llm.admin.jobs.owned_page import OwnedAdmin
from llm.jobs import files
from llm.models import JobFile
from valuecanvas.core.admin.bases import display
from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.core.admin.pages import ConfirmPage

DELETE = "llm.delete_jobfile"


class RemoveFilePage(ConfirmPage):
    """Deletes a file. Django's own page would load its parts into memory."""

    name = "remove"
    needs = "view"
    right = DELETE
    form_class = ConsoleForm
    title = verb = "Delete the file"
    text = "It cannot be brought back. A file that an open batch needs stays."
    danger = True

    def act(self, form: Any) -> str:
        file: JobFile = self.original
        files.delete_file(file.customer_id, files.render_id(file.pk))
        return "Deleted the file."

    def next_url(self) -> str:
        return reverse("admin:llm_jobfile_changelist")


@admin.register(JobFile)
class JobFileAdmin(OwnedAdmin):
    list_display = ("created_at", "filename", "user", "purpose", "amount", "expires_at")
    list_filter = (OwnerFilter,)
    pages = (RemoveFilePage,)
    fields = (
        ("id", "filename"), ("customer", "key"), ("purpose", "amount"),
        ("created_at", "expires_at"),
    )  # fmt: skip
    change_form_outer_after_template = "admin/llm/jobfile/after.html"
    empty_text = "Customers upload files with POST /v1/files, for batches."

    def details(self, request: HttpRequest, row: JobFile) -> dict[str, Any]:
        return {"may_delete": request.user.has_perm(DELETE)}

    @display(description="Size")
    def amount(self, file: JobFile) -> str:
        return filesizeformat(file.size)
