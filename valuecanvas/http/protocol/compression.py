"""Pages are sent compressed; what programs read goes as it is.

Nothing that streams is touched. Django pads each page by a random length, and masks the
CSRF token anew in each, so that the length tells nothing of what is in it (BREACH).
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
