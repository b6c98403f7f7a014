"""URLs of the hot path."""

from django.urls import include, path

from valuecanvas import health, metrics

urlpatterns = [
    path("", include("llm.urls")),
    path("health/live", health.Live.as_view()),
    path("health/ready", health.Ready.as_view()),
    path("metrics", metrics.Metrics.as_view()),
]
