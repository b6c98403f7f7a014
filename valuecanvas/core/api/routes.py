"""URLs of REST endpoints."""

from typing import Any

from django.urls import URLPattern, path
from rest_framework.views import APIView


def endpoint(route: str, view: type[APIView], **options: Any) -> list[URLPattern]:
    """`route`, and the same with a slash at its end, which the document leaves out.

    A redirect from one to the other would lose the body of a POST.
    """
    return [
        path(route, view.as_view(**options)),
        path(f"{route}/", view.as_view(**options, schema=None)),
    ]
