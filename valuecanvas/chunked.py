"""Bodies of the management API that come in chunks, without a length."""

from collections.abc import Callable

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse

from valuecanvas.core.errors import BodyTooLarge

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
            try:
                # Django has spooled the whole of it already.
                request.META["CONTENT_LENGTH"] = str(len(request.body))
            except RequestDataTooBig:
                error = BodyTooLarge("The body is too large.")
                return HttpResponse(error.json(), "application/json", error.status)
        return self._get_response(request)
