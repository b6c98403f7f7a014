"""What is done to a flag in one word: enable, disable, kill, revive, archive, revert."""

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from flags import services
from flags.api import access, shapes
from flags.api.flags import TAGS, settled
from flags.models import Flag, FlagEvent
from valuecanvas.core.api.access import Access
from valuecanvas.core.api.schema import answers
from valuecanvas.core.errors import NotFound


class Verb(APIView):
    """Does one thing to a flag, with a reason for the audit."""

    permission_classes = [Access]
    needs = {"POST": access.WRITE}
    done: ClassVar[Callable[..., Flag]]

    def post(self, request: Request, key: str) -> Response:
        body = shapes.Said(data=request.data)
        body.is_valid(raise_exception=True)
        _, said = settled(body.validated_data)
        flag = type(self).done(access.flag(key), actor=access.actor(request), **said)
        return Response(shapes.shown(flag))


def described(name: str, summary: str) -> Callable[[type[Verb]], type[Verb]]:
    decorate: Any = extend_schema_view(
        post=extend_schema(
            operation_id=f"{name}Flag",
            summary=summary,
            request=shapes.Said,
            responses=answers(shapes.ShownFlag, 400, 404, 409),
            tags=TAGS,
        )
    )
    found: Callable[[type[Verb]], type[Verb]] = decorate
    return found


@described("enable", "Enable a flag")
class Enable(Verb):
    """Its rules and percentage count."""

    done = services.enable


@described("disable", "Disable a flag")
class Disable(Verb):
    """Everyone gets the off variant."""

    done = services.disable


@described("revive", "Undo the kill switch")
class Revive(Verb):
    """It goes on where it was."""

    needs = {"POST": access.KILL}
    done = services.revive


@described("archive", "Archive a flag")
class Archive(Verb):
    """Callers get their own default; it can be restored."""

    done = services.archive


@described("restore", "Restore an archived flag")
class Restore(Verb):
    """Out of the archive, as it was."""

    done = services.restore


@described("kill", "Kill a flag")
class Kill(Verb):
    """Everyone gets the off variant at once, whatever the revision."""

    needs = {"POST": access.KILL}

    @staticmethod
    def done(
        flag: Flag, *, actor: Any, reason: str = "", expected: int | None = None
    ) -> Flag:
        return services.kill(flag, actor=actor, reason=reason)


@extend_schema_view(
    post=extend_schema(
        operation_id="revertFlag",
        summary="Revert a flag",
        request=shapes.GivenRevert,
        responses=answers(shapes.ShownFlag, 400, 404, 409),
        tags=TAGS,
    )
)
class Revert(APIView):
    """Back to how it was right after an event of its history."""

    permission_classes = [Access]
    needs = {"POST": access.WRITE}

    def post(self, request: Request, key: str) -> Response:
        body = shapes.GivenRevert(data=request.data)
        body.is_valid(raise_exception=True)
        flag, _ = access.flag(key), body.validated_data
        event = FlagEvent.objects.filter(
            flag=flag, pk=body.validated_data["event"]
        ).first()
        if event is None:
            raise NotFound("The flag has no such event.", param="event")
        _, said = settled(body.validated_data)
        return Response(
            shapes.shown(services.revert(event, actor=access.actor(request), **said))
        )
