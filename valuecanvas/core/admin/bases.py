"""The base classes of all admin pages."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.contrib.admin import ShowFacets
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from unfold import decorators
from unfold.admin import ModelAdmin, TabularInline

from valuecanvas.core.admin.large_table import EstimatedPaginator, RowsChangeList
from valuecanvas.core.admin.pages import Page
from valuecanvas.core.admin.save_errors import RefusalsMixin
from valuecanvas.core.audit.record import record_acts

F = TypeVar("F", bound=Callable[..., Any])
# Unfold's own decorators, with types.
display: Callable[..., Callable[[F], F]] = decorators.display
action: Callable[..., Callable[[F], F]] = decorators.action

NO_STORE = "no-store, private"


# Fields that a list's URL may not filter by: a search by prefix would reveal them.
SECRETS = frozenset(
    {
        "api_key_sealed",
        "body",
        "digest",
        "fingerprint",
        "password",
        "previous_sealed",
        "sealed",
        "secret_sealed",
        "session_key",
    }  # fmt: skip
)


def fieldset(
    title: str | None, *fields: Any, **options: Any
) -> tuple[str | None, dict[str, Any]]:
    """A group of fields, as Django wants it; a tuple of names is a row."""
    return title, {"fields": fields, **options}


class Admin(RefusalsMixin, ModelAdmin):  # type: ignore[misc]
    """The base of all: filters in a sheet, wide lists, an empty state that helps."""

    list_filter_submit = True
    list_fullwidth = True
    list_defer: tuple[str, ...] = ()
    list_per_page = 50
    show_facets = ShowFacets.NEVER  # counting every choice of every filter
    # Further pages of one object.
    pages: tuple[type[Page], ...] = ()
    # What to do next, for a list without rows.
    empty_text = ""
    # Fields that never change once a row is made.
    fixed_fields: tuple[str, ...] = ()
    # False leaves out the button 'Save and continue', and the action that deletes many rows.
    save_and_continue = True
    delete_many = True
    # What to do if an object cannot be deleted because others refer to it.
    instead = ""

    def get_urls(self) -> list[URLPattern]:
        return [*(one.route(self) for one in self.pages), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type:
        return RowsChangeList

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        """Whether a list's URL may filter by this; Django alone would allow any field."""
        found: bool = super().lookup_allowed(lookup, value, request)
        return found and SECRETS.isdisjoint(lookup.split("__"))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        named = {"title": capfirst(self.opts.verbose_name_plural)}
        answer: HttpResponse = super().changelist_view(
            request, {**named, **(extra_context or {})}
        )
        return answer

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        answer: HttpResponse = super().delete_view(
            request, object_id, {"instead": self.instead, **(extra_context or {})}
        )
        return answer

    def get_readonly_fields(
        self, request: HttpRequest, obj: Any = None
    ) -> Sequence[str]:
        found = super().get_readonly_fields(request, obj)
        return [*found, *(self.fixed_fields if obj else ())]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        if not self.delete_many:
            found.pop("delete_selected", None)
        return found

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The object's entries of the audit, which has changes by all ways."""
        if not request.user.has_perm("core.view_auditentry"):
            answer: HttpResponse = super().history_view(
                request, object_id, extra_context
            )
            return answer
        row = self.find_object(request, object_id, "view")
        wanted = {"kind": row._meta.label_lower, "object_id": str(row.pk)}
        return redirect(reverse("admin:core_auditentry_changelist", query=wanted))

    def attach(self, rows: list[Any]) -> None:
        """Add data to the rows of one list page, by one query for all of them."""

    def details(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The context of the page of `row`, besides its fields."""
        return {}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if (row := kwargs.get("obj")) is not None:
            context.update(self.details(request, row))
        context.setdefault("show_save_and_add_another", False)
        if not self.save_and_continue:
            context["show_save_and_continue"] = False
        answer: HttpResponse = super().render_change_form(
            request, context, *args, **kwargs
        )
        return answer

    def record(self, request: HttpRequest, rows: Iterable[Model], message: str) -> None:
        """Write the audit log: who did `message` to each of `rows`."""
        rows = list(rows)
        LogEntry.objects.log_actions(
            str(request.user.pk),
            rows,
            CHANGE,
            change_message=message,
        )
        record_acts(rows, message)

    def route(self, url: str, view: Callable[..., Any], name: str) -> URLPattern:
        """The URL of a further page of this admin, for signed-in staff only."""
        found: URLPattern = path(url, self.admin_site.admin_view(view), name=name)
        return found

    def change_url(self, row: Model) -> str:
        """The row's own page."""
        opts = self.opts
        url = f"admin:{opts.app_label}_{opts.model_name}_change"
        return reverse(url, args=[row.pk])

    def find_object(
        self, request: HttpRequest, object_id: str, right: str = "change"
    ) -> Any:
        """The object of a page's URL. Raises Http404, or PermissionDenied.

        `right` is view, change or delete.
        """
        found = self.get_object(request, unquote(object_id))
        if found is None:
            raise Http404
        if not getattr(self, f"has_{right}_permission")(request, found):
            raise PermissionDenied
        return found

    def page(
        self,
        request: HttpRequest,
        template: str,
        *,
        title: str,
        original: Model | None = None,
        status: int = 200,
        **context: Any,
    ) -> TemplateResponse:
        """A page with the admin's header and sidebar."""
        request.current_app = self.admin_site.name
        frame = {
            **self.admin_site.each_context(request),
            # The breadcrumbs are of an object, or the page's own title.
            **({"opts": self.opts, "original": original} if original else {}),
            "title": title,
            **context,
        }
        return TemplateResponse(request, template, frame, status=status)

    def ask_for(
        self,
        request: HttpRequest,
        action: str,
        chosen: Iterable[Model] | None,
        **context: Any,
    ) -> TemplateResponse:
        """Ask before `action` is done to several rows; the answer has `confirmed`.

        `chosen` is None for all rows that the filters in the list's URL find.
        """
        keys: list[tuple[str, Any]] = [
            ("_selected_action", "all"),
            ("select_across", "1"),
        ]
        if chosen is not None:
            keys = [("_selected_action", row.pk) for row in chosen]
        return self.page(
            request,
            "admin/confirm.html",
            hidden=[("action", action), ("confirmed", "1"), *keys],
            back=reverse(
                f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
            ),
            **context,
        )


class ReadOnlyAdmin(Admin):
    """Read-only: nobody adds, changes or deletes rows here, superusers included."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LargeTableAdmin(Admin):
    """No full count, no ordering without an index, no page that skips far."""

    paginator = EstimatedPaginator
    show_full_result_count = False
    list_max_show_all = 0
    sortable_by = ()


class ExactSearchAdmin(Admin):
    """Searches by whole values that an index can find."""

    search_fields: tuple[str, ...] = ("pk",)  # shows the search

    def condition(self, term: str) -> Q:
        """The condition of a search for `term`."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        return (queryset.filter(self.condition(term)) if term else queryset), False


class Inline(TabularInline):  # type: ignore[misc]
    """Rows of a related table, shown on the page of their owner."""

    extra = 0
    tab = False
