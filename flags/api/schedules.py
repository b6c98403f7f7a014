"""Changes of a flag for later."""

import datetime as dt

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from flags import services
from flags.api import access, shapes
from flags.api.flags import TAGS, settled
from flags.models import ChangeKind, ScheduledChange
from valuecanvas.core.api.access import Access, check
from valuecanvas.core.api.paging import Paging
from valuecanvas.core.api.schema import answers, errors
from valuecanvas.core.errors import NotFound


@extend_schema_view(
    get=extend_schema(
        operation_id="listFlagChanges",
        summary="Scheduled changes of a flag",
        responses=answers(shapes.ShownFlagChange(many=True), 400, 404),
        tags=TAGS,
    ),
    post=extend_schema(
        operation_id="scheduleFlagChange",
        summary="Schedule a change",
        request=shapes.GivenChange,
        responses=answers(shapes.ShownFlagChange, 400, 404, 409, status=201),
        tags=TAGS,
    ),
)
class Changes(ListAPIView):
    """Pending, applied, cancelled and failed ones; the newest first."""

    permission_classes = [Access]
    needs = {"GET": access.READ, "POST": access.WRITE}
    serializer_class = shapes.ShownFlagChange
    pagination_class = Paging.by("-id")

    def get_queryset(self) -> object:  # type: ignore[override]
        return ScheduledChange.objects.filter(flag=access.flag(self.kwargs["key"]))

    def post(self, request: Request, key: str) -> Response:
        body = shapes.GivenChange(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        if asked["kind"] == ChangeKind.KILL:
            check(request, access.KILL)
        _, said = settled(asked)
        made = services.schedule(
            access.flag(key),
            asked["kind"],
            at=asked["at"],
            payload=asked.get("payload"),
            actor=access.actor(request),
            **said,
        )
        return Response(shapes.ShownFlagChange(made).data, status=201)


@extend_schema_view(
    delete=extend_schema(
        operation_id="cancelFlagChange",
        summary="Cancel a scheduled change",
        responses={204: None, **errors(404, 409)},
        tags=TAGS,
    )
)
class ChangeDetail(APIView):
    """A change that is still to come."""

    permission_classes = [Access]
    needs = {"DELETE": access.WRITE}

    def delete(self, request: Request, key: str, number: int) -> Response:
        rows = ScheduledChange.objects.filter(flag=access.flag(key), pk=number)
        change = rows.select_related("flag").first()
        if change is None:
            raise NotFound("The flag has no such change.", param="number")
        services.cancel(change, actor=access.actor(request))
        return Response(status=204)


@extend_schema_view(
    post=extend_schema(
        operation_id="rampFlag",
        summary="Roll out in steps",
        request=shapes.GivenRamp,
        responses=answers(shapes.ShownFlagChange(many=True), 400, 404, 409, status=201),
        tags=TAGS,
    )
)
class Ramp(APIView):
    """Moves the percentage by steps, such as 5 points a day, until it has arrived."""

    permission_classes = [Access]
    needs = {"POST": access.WRITE}

    def post(self, request: Request, key: str) -> Response:
        body = shapes.GivenRamp(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        _, said = settled(asked)
        made = services.ramp(
            access.flag(key),
            to=asked["to"],
            step=asked["step"],
            every=dt.timedelta(minutes=asked["every_minutes"]),
            start=asked["start"],
            actor=access.actor(request),
            **said,
        )
        return Response(shapes.ShownFlagChange(made, many=True).data, status=201)
