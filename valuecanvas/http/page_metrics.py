"""Django's metrics of the cold path, by part of the site instead of by view and template."""

from typing import Any

from django.http import HttpRequest
from django_prometheus.middleware import PrometheusAfterMiddleware

# The first segment of a path.
AREAS = ("admin", "api", "usage")
METHODS = ("GET", "POST")
OTHER = "other"


def area(request: HttpRequest) -> str:
    """The part of the site that a request is for."""
    first = request.path_info.lstrip("/").partition("/")[0]
    return first if first in AREAS else OTHER


class PageMetrics(PrometheusAfterMiddleware):  # type: ignore[misc]
    """Bounds the labels: there are hundreds of views, and methods are what callers send."""

    def label_metric(
        self, metric: Any, request: HttpRequest, response: Any = None, **labels: str
    ) -> Any:
        if "view" in labels:
            labels["view"] = area(request)
            if "method" in labels:
                known = request.method in METHODS
                labels["method"] = str(request.method) if known else OTHER
        if "templatename" in labels:
            labels["templatename"] = area(request)
        return super().label_metric(metric, request, response, **labels)
