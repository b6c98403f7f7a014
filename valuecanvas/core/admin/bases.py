"""What every admin page here is made of."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.admin import ShowFacets
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.views.decorators.http import require_POST
from unfold import decorators
from unfold.admin import ModelAdmin, TabularInline

from valuecanvas.core.admin.large_table import EstimatedPaginator, RowsChangeList
from valuecanvas.core.admin.save_errors import RefusalsMixin

F = TypeVar("F", bound=Callable[..., Any])
# Unfold's own decorators, with types.
display: Callable[..., Callable[[F], F]] = decorators.display
action: Callable[..., Callable[[F], F]] = decorators.action

NO_STORE = "no-store, private"


def post_only(view: Callable[..., HttpResponse], page: str) -> Callable[..., Any]:
    """Only POST reaches `view`; who looks, after a log-in or by an old link, goes to `page`.

    `page` is named, and takes the first argument of the view's URL.
    """

    @wraps(view)
    def only(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method in ("GET", "HEAD"):
            return redirect(f"admin:{page}", *[*args, *kwargs.values()][:1])
        return require_POST(view)(request, *args, **kwargs)

    return only


# Fields of which nobody may learn a letter by asking for rows that begin with it.
SECRETS = frozenset(
    {"api_key_sealed", "body", "digest", "fingerprint", "password", "session_key"}
)


class Admin(RefusalsMixin, ModelAdmin):  # type: ignore[misc]
    """The base of all: filters in a sheet, wide lists, an empty state that helps."""

    list_filter_submit = True
    list_fullwidth = True
    list_defer: tuple[str, ...] = ()
    list_per_page = 50
    show_facets = ShowFacets.NEVER  # counting every choice of every filter
    # What to do next, for a list without rows.
    empty_text = ""
    # What to do where other rows keep one from being deleted.
    instead = ""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type:
        return RowsChangeList

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        """Whether a list's URL may filter by this; Django takes any field by itself."""
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

    def attach(self, rows: list[Any]) -> None:
        """Add to the rows of one list page what one more query can tell of all."""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context.setdefault("show_save_and_add_another", False)
        answer: HttpResponse = super().render_change_form(
            request, context, *args, **kwargs
        )
        return answer

    def record(self, request: HttpRequest, rows: Iterable[Model], message: str) -> None:
        """Write the audit log: who did `message` to each of `rows`."""
        LogEntry.objects.log_actions(
            str(request.user.pk),
            list(rows),
            CHANGE,
            change_message=message,
        )

    def route(self, url: str, view: Callable[..., Any], name: str) -> URLPattern:
        """A page of this admin's own, for signed-in staff only."""
        found: URLPattern = path(url, self.admin_site.admin_view(view), name=name)
        return found

    def one(self, request: HttpRequest, object_id: str, right: str = "change") -> Any:
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
        """An answer in the admin's frame."""
        request.current_app = self.admin_site.name
        frame = {
            **self.admin_site.each_context(request),
            # The breadcrumbs are of an object, or the page's own title.
            **({"opts": self.opts, "original": original} if original else {}),
            "title": title,
            **context,
        }
        return TemplateResponse(request, template, frame, status=status)


class ReadOnlyAdmin(Admin):
    """History: nobody adds, changes or deletes it here, superusers included."""

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


class Inline(TabularInline):  # type: ignore[misc]
    """Rows of a related table below their owner."""

    extra = 0
    tab = False
