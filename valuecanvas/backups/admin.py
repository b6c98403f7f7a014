"""Backups in the admin: their history, one now, a restore for trial, a download."""

import asyncio
import tarfile
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern
from kombu.exceptions import OperationalError
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from valuecanvas.backups import history, runs, tasks
from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.repository import (
    REHEARSAL,
    SUMMARY,
    BackupRepository,
)
from valuecanvas.backups.types import BackupSummary
from valuecanvas.core.access.recent_login import require_recent_login
from valuecanvas.core.admin.bases import NO_STORE, ReadOnlyAdmin, display
from valuecanvas.core.admin.pages import Page, post_only, refuse_unless
from valuecanvas.core.templatetags import figures

MAKE = "backups.make_backup"
DOWNLOAD = "backups.download_backup"
LIST = "backups_backup_changelist"
NO_WORKER = "Not begun: the broker of the workers does not answer."


class VerifyPage(Page):
    """Begins a restore for trial."""

    name = "verify"
    needs = "view"
    right = MAKE
    post_only = True
    recent_login = True

    def answer(self) -> HttpResponse:
        row: Backup = self.original
        by = self.request.user.get_username()
        _enqueue(
            self.request,
            lambda: tasks.verify_backup.delay(row.name, by),
            "It is being restored for trial. The result appears here.",
        )
        self.admin.record(self.request, [row], "Verified.")
        return redirect(self.back_url())


class DownloadPage(Page):
    """Sends the encrypted files as one tar."""

    name = "download"
    needs = "view"
    right = DOWNLOAD
    recent_login = True

    def answer(self) -> HttpResponseBase:
        repository, name = BackupRepository(), self.original.name
        try:
            summary = repository.summary(name)
        except BackupError as error:
            messages.error(self.request, str(error))
            return redirect(self.back_url())
        self.admin.record(self.request, [self.original], "Downloaded.")
        return StreamingHttpResponse(
            _tar(repository, summary),
            content_type="application/x-tar",
            headers={
                "Content-Disposition": f'attachment; filename="{name}.tar"',
                "Cache-Control": NO_STORE,
            },
        )


@admin.register(Backup)
class BackupAdmin(ReadOnlyAdmin):
    list_display = (
        "started_at", "result", "trial", "amount", "row_count", "took", "by",
    )  # fmt: skip
    list_filter = (("state", ChoicesDropdownFilter), "verified")
    list_before_template = "admin/backups/backup/status.html"
    change_form_outer_after_template = "admin/backups/backup/after.html"
    ordering = ("-id",)
    fields = (
        ("name", "result"), ("started_at", "took"), ("amount", "row_count"),
        ("trial", "rehearsed_at"), "by",
    )  # fmt: skip
    pages = (VerifyPage, DownloadPage)
    empty_text = "A worker makes a backup every night. There is none so far."

    def get_urls(self) -> list[URLPattern]:
        view = post_only(self.make_view, LIST)
        return [self.route("make/", view, "backups_make"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            **(extra_context or {}),
            "status": history.status(),
            "running": history.find_running(),
            "may_make": request.user.has_perm(MAKE),
        }
        return super().changelist_view(request, context)

    def details(self, request: HttpRequest, row: Backup) -> dict[str, Any]:
        stored = row.state == BackupState.STORED
        return {
            "backup": row,
            "may_verify": stored and request.user.has_perm(MAKE),
            "may_download": stored and request.user.has_perm(DOWNLOAD),
        }

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_fields(request, obj)
        return [*found, "error"] if obj is not None and obj.error else found

    def make_view(self, request: HttpRequest) -> HttpResponse:
        refuse_unless(request, MAKE)
        require_recent_login(request)
        row = runs.begin(request.user.get_username())
        begun = _enqueue(
            request,
            lambda: tasks.make_backup.delay(str(row.pk)),
            "A backup has begun.",
        )
        if begun:
            self.log_addition(request, row, "Backed up now.")
        else:
            row.delete()
        return redirect(f"admin:{LIST}")

    @display(
        description="Backup",
        label={
            "Under way": "info", "Stored": "success", "Failed": "danger",
        },
    )  # fmt: skip
    def result(self, row: Backup) -> str:
        return row.get_state_display()

    @display(
        description="Restored for trial",
        label={
            "verified": "success",
            "not usable": "danger",
            "not yet": "warning",
            "under way": "info",
        },
    )
    def trial(self, row: Backup) -> str:
        if row.state in (BackupState.FAILED, BackupState.RUNNING):
            return "–"
        if row.step:
            return "under way"
        return {True: "verified", False: "not usable", None: "not yet"}[row.verified]

    @display(description="Size")
    def amount(self, row: Backup) -> str:
        return "–" if row.size is None else filesizeformat(row.size)

    @display(description="Rows")
    def row_count(self, row: Backup) -> str:
        return "–" if row.rows is None else figures.commas(row.rows)

    @display(description="Took")
    def took(self, row: Backup) -> str:
        end: datetime | None = row.finished_at
        if end is None:
            return row.step or "–"
        return figures.duration(round((end - row.started_at).total_seconds() * 1000))


def _enqueue(request: HttpRequest, call: Callable[[], object], begun: str) -> bool:
    """Send a task and tell the operator. Returns whether it was sent."""
    try:
        call()
    except OperationalError:
        messages.error(request, NO_WORKER)
        return False
    messages.success(request, begun)
    return True


async def _tar(
    repository: BackupRepository, summary: BackupSummary
) -> AsyncIterator[bytes]:
    """The files of a backup as a tar, in pieces; it is never in memory as a whole."""
    small = [
        part for part in (SUMMARY, REHEARSAL) if repository.exists(summary.name, part)
    ]
    for part in (*summary.files, *small):
        pieces = repository.pieces(summary.name, part)
        if part in summary.files:
            size = summary.files[part].size
        else:
            # Documents of a few kilobytes, in one piece.
            document = b"".join(pieces)
            pieces, size = iter([document]), len(document)
        info = tarfile.TarInfo(f"{summary.name}/{part}")
        info.size, info.mode = size, 0o600
        info.mtime = int(summary.made_at.timestamp())
        yield info.tobuf()
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece
        yield bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
