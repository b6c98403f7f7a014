"""Pages that exist only while CHAOS_ENABLED is on."""

from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern

from valuecanvas.core.admin.bases import Admin


def hide_when_off(pattern: URLPattern) -> URLPattern:
    """`pattern` with a view that answers 404 to everybody while chaos is off."""
    view = pattern.callback

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.CHAOS_ENABLED:
            raise Http404
        answer: HttpResponseBase = view(request, *args, **kwargs)
        return answer

    return URLPattern(pattern.pattern, shown, pattern.default_args, pattern.name)


class ChaosAdmin(Admin):
    """The base of the pages of chaos: none of them is there while it is off."""

    def get_urls(self) -> list[URLPattern]:
        return [hide_when_off(one) for one in [*self.own_urls(), *super().get_urls()]]

    def own_urls(self) -> list[URLPattern]:
        """The URLs of further pages that are of no row."""
        return []

    def has_module_permission(self, request: HttpRequest) -> bool:
        found: bool = super().has_module_permission(request)
        return settings.CHAOS_ENABLED and found

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        # Without any the list of pages, and the search in it, leave it out.
        found: dict[str, bool] = super().get_model_perms(request)
        return found if settings.CHAOS_ENABLED else dict.fromkeys(found, False)
