"""The base class of REST endpoints: each method declares its need, input and answer.

class FlagDetail(Endpoint):
    @operation("editFlag", "Edit a flag", WRITE, body=GivenEdit, answer=ShownFlag)
    def patch(self, asked: dict[str, Any]) -> Flag:
        return services.edit_flag(self.flag, asked, actor=self.actor)
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from valuecanvas.core.api.access import Access, Need, Needs
from valuecanvas.core.api.bodies import StrictSerializer, Text
from valuecanvas.core.api.openapi_schema import answers
from valuecanvas.core.api.paging import Paging
from valuecanvas.core.audit import audit_context

Shape = type[s.BaseSerializer]
Method = Callable[..., Any]


class Endpoint(APIView):
    """A view whose methods are operations: see `operation`."""

    permission_classes = [Access]
    needs: ClassVar[Needs] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = vars(cls)
        made = {
            name.upper(): own[name] for name in cls.http_method_names if name in own
        }
        cls.needs = {**cls.needs, **{name: one.need for name, one in made.items()}}
        for method in made.values():
            if method.paged_by:
                # The OpenAPI document looks for it here.
                cls.pagination_class = Paging.ordered_by(method.paged_by)  # type: ignore[attr-defined]


class PageQuery(StrictSerializer):
    """The query parameters of a page: see Paging."""

    typed = False
    cursor = s.CharField(required=False)
    limit = s.CharField(required=False)

    @classmethod
    def parameters(cls) -> list[OpenApiParameter]:
        """Those with a description, for the OpenAPI document; paging has its own."""
        return [
            OpenApiParameter(name, _schema(field), description=str(field.help_text))
            for name, field in cls().fields.items()
            if field.help_text
        ]


class ListQuery(PageQuery):
    """The query parameters of a list: common filters and the page."""

    tag = Text(40)
    search = Text(200)
    archived = s.BooleanField(
        required=False,
        default=False,
        help_text="`true`: archived ones only. They are left out unless asked for.",
    )


def _schema(field: s.Field) -> dict[str, Any]:
    if isinstance(field, s.BooleanField):
        return {"type": "boolean"}
    if isinstance(field, s.ChoiceField):
        return {"type": "string", "enum": list(field.choices)}
    most = getattr(field, "max_length", None)
    return {"type": "string", **({"maxLength": most} if most else {})}


def narrow(rows: Any, asked: dict[str, Any], searched: Sequence[str]) -> Any:
    """Filter `rows` by a ListQuery; text is searched for in the fields `searched`."""
    rows = rows.filter(archived=asked["archived"])
    if tag := asked.get("tag"):
        rows = rows.filter(tags__contains=[tag])
    if text := asked.get("search"):
        conditions = (Q(**{f"{name}__icontains": text}) for name in searched)
        rows = rows.filter(Q(*conditions, _connector=Q.OR))
    return rows


def operation(
    operation_id: str,
    summary: str,
    need: Need,
    *,
    tags: Sequence[str],
    body: Shape | None = None,
    partial: bool = False,
    query: type[PageQuery] | None = None,
    answer: Shape | None = None,
    many: bool = False,
    paged_by: str = "",
    refusals: Sequence[int] = (404,),
    status: int = 200,
    parameters: Sequence[OpenApiParameter] = (),
) -> Callable[[Method], Method]:
    """Make a method of an Endpoint an operation of the REST API.

    The method takes the validated `body` or `query` and returns what `answer`
    serializes: an object, several, or rows, of which one page is sent. A dict is sent as
    it is, and so is a file. Without `answer` the status is 204. `refusals` are the documented errors
    besides 400.
    """
    checked = [400] if body or query or paged_by else []

    def decorate(method: Method) -> Method:
        @wraps(method)
        def handler(
            view: Endpoint, request: Request, *args: Any, **kwargs: Any
        ) -> Response | StreamingHttpResponse:
            asked = _validate(request, body, query, partial)
            if asked and asked.get("reason"):
                audit_context.explain(asked["reason"])
            found = method(view) if asked is None else method(view, asked)
            if isinstance(found, StreamingHttpResponse):
                return found
            if answer is None:
                return Response(status=204)
            if paged_by:
                return _page(view, request, found, answer)
            if not isinstance(found, dict):
                found = answer(found, many=many).data
            return Response(found, status)

        listed = answer(many=True) if answer and (many or paged_by) else answer
        described: Any = extend_schema(
            operation_id=operation_id,
            summary=summary,
            request=body,
            parameters=[*parameters, *(query.parameters() if query else ())],
            responses=answers(
                listed, *checked, *refusals, status=status if answer else 204
            ),
            tags=list(tags),
        )(handler)
        described.need, described.paged_by = need, paged_by
        return described  # type: ignore[no-any-return]

    return decorate


def _validate(
    request: Request, body: Shape | None, query: Shape | None, partial: bool
) -> Any:
    """The validated body or query; None for an operation without either."""
    shape = body or query
    if shape is None:
        return None
    data = request.data if body else request.query_params.dict()
    form = shape(data=data, partial=partial)
    form.is_valid(raise_exception=True)
    return form.validated_data


def _page(view: Endpoint, request: Request, rows: QuerySet, answer: Shape) -> Response:
    paging: Paging = view.pagination_class()  # type: ignore[attr-defined]
    shown = answer(paging.paginate_queryset(rows, request, view), many=True)
    return paging.get_paginated_response(shown.data)
