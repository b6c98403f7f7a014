"""The admin site: unfold's with changes of this product."""

import time
from collections.abc import Callable
from typing import Any

from django.contrib.admin.apps import AdminConfig
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.module_loading import import_string
from unfold.sites import UnfoldAdminSite

from valuecanvas.site.lost_form import keep_typed

MOST_RESULTS = 100
# Of no model: URL, view, name.
PAGES = (
    ("metrics/", "valuecanvas.performance.performance_page.show", "metrics"),
    ("status/", "valuecanvas.status.status_page.show", "status"),
    ("metrics/text/", "valuecanvas.http.metrics_view.page", "metrics_text"),
    ("rights/", "valuecanvas.site.people.rights_page.show", "rights"),
)


class ControlRoomSite(UnfoldAdminSite):  # type: ignore[misc]
    """The site behind /admin/."""

    index_title = "Dashboard"

    def get_urls(self) -> list[URLPattern | URLResolver]:
        # Their modules need the models first.
        pages = [
            path(url, self.admin_view(import_string(view)), name=name)
            for url, view, name in PAGES
        ]
        # For people who have no session yet.
        accept = import_string("valuecanvas.site.people.invitation.Acceptance")
        link = path("invitation/<uidb64>/<token>/", accept.as_view(), name="invitation")
        return [link, *pages, *super().get_urls()]

    def admin_view(
        self, view: Callable[..., HttpResponseBase], cacheable: bool = False
    ) -> Callable[..., Any]:
        return keep_typed(super().admin_view(view, cacheable))

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Never Django's page, which knows no second factor: valuecanvas.site.door."""
        return redirect("account_login")

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's page; ours counts wrong passwords."""
        return redirect("account_change_password")

    def logout(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        # A GET, as by an old link, does not log out.
        if request.method in ("GET", "HEAD"):
            return redirect("admin:index")
        _record("login.ended", request)
        answer: HttpResponseBase = super().logout(request, extra_context)
        return answer

    def search(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Search pages by name. Unfold's view would cache objects that are not JSON."""
        started = time.monotonic()
        term = request.GET.get("s", "").strip().lower()
        if not term:
            return HttpResponse()
        page = Paginator(
            self._search_apps(self.get_app_list(request), term), MOST_RESULTS
        )
        kind = "command" if "extended" in request.GET else "search"
        return TemplateResponse(
            request,
            f"unfold/helpers/{kind}_results.html",
            {
                "page_obj": page,
                "results": page.page(1),
                "page_counter": 0,
                "execution_time": time.monotonic() - started,
            },
            headers={"HX-Trigger": "search"},
        )


def _record(event: str, request: HttpRequest) -> None:
    """Write an event of the audit; its module needs the models first."""
    record = import_string("valuecanvas.core.audit.record.record")
    record(event, kind="auth.user", label=str(request.user))


class ControlRoomConfig(AdminConfig):
    """Replaces Django's admin site."""

    default_site = "valuecanvas.site.admin_site.ControlRoomSite"
