"""URLs of REST endpoints."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.views import APIView

from valuecanvas.core.errors import NotFound


def endpoint(route: str, view: type[APIView], **options: Any) -> list[URLPattern]:
    """`route`, and the same with a slash at its end, which the document leaves out.

    A redirect from one to the other would lose the body of a POST.
    """
    return [
        path(route, view.as_view(**options)),
        path(f"{route}/", view.as_view(**options, schema=None)),
    ]


@csrf_exempt
def unknown(request: HttpRequest, **rest: str) -> HttpResponse:
    """For what is left under /api/: programs read no HTML."""
    error = NotFound("There is nothing at this path.", code="unknown_path")
    return HttpResponse(error.json(), "application/json", error.status)
