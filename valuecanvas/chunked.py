"""Bodies of the management API that come in chunks, without a length."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

API_PREFIX = "/api/"


class ChunkedBodies:
    """Middleware. Without a length, DRF takes a request for one without a body."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (
            request.path.startswith(API_PREFIX)
            and "HTTP_TRANSFER_ENCODING" in request.META
            and not request.META.get("CONTENT_LENGTH")
        ):
            # Django has taken the whole of it already; past its limit this raises.
            request.META["CONTENT_LENGTH"] = str(len(request.body))
        return self._get_response(request)
