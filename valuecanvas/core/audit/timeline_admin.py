"""The timeline of the audit: every change and event of all kinds, newest first."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst

from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.filters import (
    ConditionFilter,
    NamesFilter,
    TermFilter,
    TimeFilter,
)
from valuecanvas.core.audit import sentences
from valuecanvas.core.audit.audit_context import ActorKind
from valuecanvas.core.audit.audit_export import export_lines
from valuecanvas.core.audit.models import SEARCHED, AuditEntry
from valuecanvas.core.transfer import downloads

VIEW = "core.view_auditentry"
LIST = "admin:core_auditentry_changelist"


class ActorFilter(TermFilter):
    title, parameter_name = "who", "actor"


class AddressFilter(TermFilter):
    title, parameter_name = "address", "address"


class RequestFilter(TermFilter):
    title, parameter_name = "request", "request_id"


class ObjectFilter(TermFilter):
    title, parameter_name = "id of the object", "object_id"


class RecentFilter(ConditionFilter):
    title = "time"
    parameter_name = "recent"

    def conditions(self) -> list[tuple[str, str, Q]]:
        spans = (("1h", "Last hour", 1), ("1d", "Last 24 hours", 24), ("7d", "Last 7 days", 168), ("30d", "Last 30 days", 720))  # fmt: skip
        now = timezone.now()
        return [
            (name, title, Q(at__gte=now - timedelta(hours=hours)))
            for name, title, hours in spans
        ]


class ActionFilter(ConditionFilter):
    title = "action"
    parameter_name = "what"

    def conditions(self) -> list[tuple[str, str, Q]]:
        changes = ["created", "changed", "added", "removed", "deleted"]
        return [
            ("created", "Created", Q(action="created")),
            ("changed", "Changed", Q(action__in=changes[1:4])),
            ("deleted", "Deleted", Q(action="deleted")),
            ("login", "Log-ins and refusals", Q(action__startswith="login.")),
            ("event", "Other events", ~Q(action__in=changes) & ~Q(action__startswith="login.")),
        ]  # fmt: skip


class ActorKindFilter(ConditionFilter):
    title = "kind of actor"
    parameter_name = "by"

    def conditions(self) -> list[tuple[str, str, Q]]:
        return [(one, one.title(), Q(actor_kind=one)) for one in ActorKind]


class KindFilter(NamesFilter):
    title = "kind of object"
    parameter_name = "kind"

    def names(self) -> Iterable[tuple[str, str]]:
        models = admin.site._registry
        pairs = (
            (m._meta.label_lower, str(capfirst(m._meta.verbose_name))) for m in models
        )
        return sorted(pairs, key=lambda pair: pair[1])


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("when", "who", "what", "target", "why", "origin")
    list_filter = (
        RecentFilter, ("at", TimeFilter), ActionFilter, KindFilter, ActorFilter,
        ActorKindFilter, AddressFilter, RequestFilter, ObjectFilter,
    )  # fmt: skip
    search_fields = ("label",)
    search_help_text = "Whole words of an object's name or of a reason, or the whole id of an object or a request."
    ordering = ("-id",)  # as the time goes, and indexed
    list_display_links = ("when",)
    list_before_template = "admin/core/auditentry/export.html"
    change_form_outer_after_template = "admin/core/auditentry/after.html"
    fields = (("at", "who"), "what", ("target", "why"), ("origin", "request_key"))
    empty_text = (
        "Every change of configuration, keys, money and users is listed here, whoever "
        "made it and by whatever way, and log-ins too."
    )

    def get_urls(self) -> list[URLPattern]:
        export = self.route(
            "export.<str:kind>", self.export_view, "core_auditentry_export"
        )
        return [export, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        words = SearchQuery(term, config="simple")
        found = queryset.annotate(words=SearchVector(*SEARCHED, config="simple"))
        ids = Q(object_id=term) | Q(request_id=term)
        return found.filter(Q(words=words) | ids), False

    def attach(self, rows: list[Any]) -> None:
        names = sentences.find_names(rows)
        for row in rows:
            row.names = names

    def export_view(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """Sends what the list's filters find."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if kind not in downloads.KINDS:
            raise Http404
        rows = self.get_changelist_instance(request).get_queryset(request)
        lines = export_lines(rows, kind)
        return downloads.download(f"audit.{kind}", lines, request.GET.dict())

    def change_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        entry = self.find_object(request, object_id, "view")
        names = sentences.find_names([entry])
        context = {
            "changes": sentences.changes(entry, names),
            "same_object": _url(kind=entry.kind, object_id=entry.object_id),
            "same_request": _url(request_id=entry.request_id),
        }
        kwargs["extra_context"] = {**(kwargs.get("extra_context") or {}), **context}
        answer: HttpResponse = super().change_view(request, object_id, *args, **kwargs)
        return answer

    @display(description="When")
    def when(self, entry: AuditEntry) -> datetime:
        return entry.at

    @display(description="Who")
    def who(self, entry: AuditEntry) -> str:
        return entry.actor

    @display(description="What")
    def what(self, entry: AuditEntry) -> str:
        return sentences.describe(entry, getattr(entry, "names", None))

    @display(description="Object")
    def target(self, entry: AuditEntry) -> str:
        url = _object_url(entry)
        text = entry.label or entry.object_id or "–"
        if not url or entry.action == "deleted":
            return text
        return format_html('<a class="vc-link" href="{}">{}</a>', url, text)

    @display(description="Why")
    def why(self, entry: AuditEntry) -> str:
        return entry.reason or "–"

    @display(description="From")
    def origin(self, entry: AuditEntry) -> str:
        return entry.address or "–"

    @display(description="Request")
    def request_key(self, entry: AuditEntry) -> str:
        return entry.request_id or "–"


def _url(**filters: str) -> str:
    """The timeline of one object or one request; '' if the entry names none."""
    return reverse(LIST, query=filters) if all(filters.values()) else ""


def _object_url(entry: AuditEntry) -> str:
    model = entry.kind.replace(".", "_")
    try:
        return reverse(f"admin:{model}_change", args=[quote(entry.object_id)])
    except NoReverseMatch:
        return ""
