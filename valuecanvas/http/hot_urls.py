"""URLs of the hot path."""

from django.urls import include, path

from valuecanvas.http import health, metrics_view

urlpatterns = [
    path("", include("llm.urls")),
    path("health/live", health.Live.as_view()),
    path("health/ready", health.Ready.as_view()),
    path("metrics", metrics_view.Metrics.as_view()),
]
