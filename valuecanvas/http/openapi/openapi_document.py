"""The OpenAPI document, generated once per process: that takes more than a second."""

import threading
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SCHEMA_KWARGS, SpectacularAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_LOCK = threading.Lock()
_TEXTS: dict[type[BaseRenderer], str | bytes] = {}


class Schema(SpectacularAPIView):
    """The document as YAML or JSON, the same for everybody."""

    @extend_schema(**SCHEMA_KWARGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        name = f"{settings.SPECTACULAR_SETTINGS['TITLE']}.{renderer.format}"
        return HttpResponse(
            text(type(renderer)),
            content_type=renderer.media_type,
            headers={"Content-Disposition": f'inline; filename="{name}"'},
        )


def text(renderer: type[BaseRenderer]) -> str | bytes:
    """The document in the format of `renderer`, cached."""
    with _LOCK:
        if renderer not in _TEXTS:
            _TEXTS[renderer] = renderer().render(_document())
        return _TEXTS[renderer]


@lru_cache
def _document() -> Any:
    generator: Any = Schema.generator_class()
    return generator.get_schema(request=None, public=True)
