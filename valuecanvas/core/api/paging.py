"""Cursor pagination of lists: `{"data": [...], "next_cursor": ...}`.

class Prompts(ListAPIView):
    pagination_class = Paging.ordered_by("key")

The query parameters are `cursor` and `limit`; the field of the order must be unique.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework import exceptions as drf
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from valuecanvas.core.errors import InvalidRequest

MOST = 200


class Paging(CursorPagination):
    """DRF's cursor pagination, with tokens instead of links, and strict limits."""

    page_size = 50
    page_size_query_param = "limit"
    page_size_query_description = f"Rows on a page, 1 to {MOST}; 50 unless given."
    cursor_query_description = "The last page's `next_cursor`."

    @classmethod
    def ordered_by(cls, field: str) -> "type[Paging]":
        """Ordered by `field`, which is unique; '-id' for the newest first."""
        return type("Paging", (cls,), {"ordering": field})

    def paginate_queryset(
        self,
        queryset: QuerySet | Sequence[Any],
        request: Request,
        view: APIView | None = None,
    ) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError, DataError) as error:
            # A forged cursor.
            raise _no_cursor() from error

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("limit", str(self.page_size))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
            raise InvalidRequest(f"'limit' must be 1 to {MOST}.", param="limit")
        return int(text)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            return super().decode_cursor(request)
        except drf.NotFound as error:
            raise _no_cursor() from error

    def encode_cursor(self, cursor: Cursor) -> str:
        link = urlsplit(super().encode_cursor(cursor))
        return parse_qs(link.query)[self.cursor_query_param][0]

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        bounds = {"minimum": 1, "maximum": MOST, "default": self.page_size}
        for one in found:
            if one["name"] == self.page_size_query_param:
                one["schema"] |= bounds
        return found

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "next_cursor": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["data", "next_cursor"],
            "properties": {
                "data": schema,
                "next_cursor": {
                    "type": ["string", "null"],
                    "description": "For the next page; null on the last one.",
                },
            },
        }


def _no_cursor() -> InvalidRequest:
    return InvalidRequest("'cursor' is not a valid 'next_cursor'.", param="cursor")
