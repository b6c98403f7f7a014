"""Compresses HTML pages, but no API answers.

Streams are not compressed. Django adds a random length to each page and masks the CSRF
token, so that the length reveals nothing of the content (BREACH).
"""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressedPages(GZipMiddleware):
    """Compresses HTML."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        kind = response.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.streaming or kind != "text/html":
            return response
        return super().process_response(request, response)
