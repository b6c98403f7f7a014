"""URLs of the cold path; those of the hot path are here for the OpenAPI document."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView

from billing.usage.own_page import OwnUsagePage
from valuecanvas.http.error_handlers import unknown
from valuecanvas.http.openapi.openapi_document import Schema

handler400 = "valuecanvas.http.error_handlers.bad_request"
handler404 = "valuecanvas.http.error_handlers.not_found"
handler500 = "valuecanvas.http.database_down.handle_server_error"
urlpatterns = [
    path("", RedirectView.as_view(url="/admin/", permanent=False)),
    path("favicon.ico", RedirectView.as_view(url="/static/valuecanvas/icon.svg")),
    # The log-in page is here: before the site's own.
    path("admin/", include("valuecanvas.site.door.urls")),
    path("admin/", admin.site.urls),
    path("usage", OwnUsagePage.as_view(), name="own_usage"),
    path("api/schema", Schema.as_view(), name="schema"),
    path(
        "api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"
    ),
    path("api/redoc", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
    path("api/", include("prompts.api.urls")),
    path("api/", include("flags.api.urls")),
    path("api/", include("llm.api_urls")),
    path("api/", include("billing.api.urls")),
    path("", include("valuecanvas.http.hot_urls")),
    path("api/<path:rest>", unknown),
]
