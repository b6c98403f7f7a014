"""Labels: what they point at, moves that nobody can overwrite unseen, rollback."""

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from prompts import services
from prompts.api import access, given, shown
from prompts.api.prompts import TAGS, detail
from prompts.api.versions import number
from prompts.models import Label, Prompt
from valuecanvas.core.api.access import Access
from valuecanvas.core.api.schema import answers, errors
from valuecanvas.core.errors import NotFound


@extend_schema_view(
    get=extend_schema(
        operation_id="listPromptLabels",
        summary="Labels of a prompt",
        responses=answers(shown.ShownLabels, 404),
        tags=TAGS,
    )
)
class Labels(APIView):
    """All of them, by name. `latest`, always the newest version, is not among them."""

    permission_classes = [Access]
    needs = {"GET": access.READ}

    def get(self, request: Request, key: str) -> Response:
        rows = access.prompt(key).labels.select_related("version").order_by("name")
        return Response({"data": shown.ShownLabel(rows, many=True).data})


@extend_schema_view(
    get=extend_schema(
        operation_id="getPromptLabel",
        summary="One label",
        responses=answers(shown.ShownLabel, 404),
        tags=TAGS,
    ),
    put=extend_schema(
        operation_id="movePromptLabel",
        summary="Move a label",
        request=given.GivenMove,
        responses=answers(shown.ShownLabel, 400, 404, 409),
        tags=TAGS,
    ),
    delete=extend_schema(
        operation_id="removePromptLabel",
        summary="Remove a label",
        request=given.GivenRemoval,
        responses={204: None, **errors(400, 404, 409)},
        tags=TAGS,
    ),
)
class LabelDetail(APIView):
    """Moved only from where the caller believes it is: 409 says who moved it since."""

    permission_classes = [Access]
    needs = {"GET": access.READ, "PUT": access.PUBLISH, "DELETE": access.PUBLISH}

    def get(self, request: Request, key: str, name: str) -> Response:
        return Response(shown.ShownLabel(_label(access.prompt(key), name)).data)

    def put(self, request: Request, key: str, name: str) -> Response:
        body = given.GivenMove(data=request.data)
        body.is_valid(raise_exception=True)
        prompt, move = access.prompt(key), body.validated_data
        services.move_label(
            prompt,
            name,
            number(prompt, move["version"]),
            expected=move["expected_version"],
            actor=access.actor(request),
            reason=move["reason"],
        )
        return Response(shown.ShownLabel(_label(prompt, name)).data)

    def delete(self, request: Request, key: str, name: str) -> Response:
        body = given.GivenRemoval(data=request.data)
        body.is_valid(raise_exception=True)
        prompt, asked = access.prompt(key), body.validated_data
        services.remove_label(
            prompt,
            _label(prompt, name).name,
            actor=access.actor(request),
            reason=asked["reason"],
            expected=asked.get("expected_version"),
        )
        return Response(status=204)


@extend_schema_view(
    post=extend_schema(
        operation_id="rollBackPrompt",
        summary="Roll back",
        request=given.GivenRollback,
        responses=answers(shown.ShownPromptDetail, 400, 404, 409),
        tags=TAGS,
    )
)
class Rollback(APIView):
    """`production` back to the version before it, or to `to`."""

    permission_classes = [Access]
    needs = {"POST": access.PUBLISH}

    def post(self, request: Request, key: str) -> Response:
        body = given.GivenRollback(data=request.data)
        body.is_valid(raise_exception=True)
        prompt, asked = access.prompt(key), body.validated_data
        to = asked.get("to")
        services.rollback(
            prompt,
            actor=access.actor(request),
            reason=asked["reason"],
            to=None if to is None else number(prompt, to, "to"),
            expected=asked.get("expected_version"),
        )
        return Response(detail(prompt))


def _label(prompt: Prompt, name: str) -> Label:
    rows = prompt.labels.select_related("version")
    found: Label | None = rows.filter(name=name).first()
    if found is None:
        raise NotFound(
            f"'{prompt.key}' has no label '{name[:40]}'.",
            param="name",
            code="prompt_label_not_found",
        )
    return found
