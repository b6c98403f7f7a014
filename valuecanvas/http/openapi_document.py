"""The OpenAPI document: made once, since that takes more than a second of work."""

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
    """As YAML or JSON. It is the same for everybody, and for the process's life."""

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
    """The document as `renderer` writes it. Of many who ask at once one makes it."""
    with _LOCK:
        if renderer not in _TEXTS:
            _TEXTS[renderer] = renderer().render(_document())
        return _TEXTS[renderer]


@lru_cache
def _document() -> Any:
    generator: Any = Schema.generator_class()
    return generator.get_schema(request=None, public=True)
