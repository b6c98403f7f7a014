"""Why somebody gets what they get."""

from django.apps import apps
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from flags.api import access, shapes
from flags.api.flags import TAGS
from flags.engine.evaluation import evaluate
from valuecanvas.core.api.access import Access
from valuecanvas.core.api.schema import answers


@extend_schema_view(
    post=extend_schema(
        operation_id="explainFlag",
        summary="Evaluate a flag, and say why",
        request=shapes.GivenContext,
        responses=answers(shapes.ShownEvaluation, 400, 404),
        tags=TAGS,
    )
)
class Explain(APIView):
    """The same answer as OFREP's, with the rule, the buckets and the reason in words.

    For people: clients of an application ask /ofrep/v1/evaluate/flags.
    """

    permission_classes = [Access]
    needs = {"POST": access.READ}

    def post(self, request: Request, key: str) -> Response:
        body = shapes.GivenContext(data=request.data)
        body.is_valid(raise_exception=True)
        access.flag(key)
        flags = apps.get_app_config("flags").store.current()  # type: ignore[attr-defined]
        found = evaluate(flags, key, body.validated_data.get("context", {}))
        return Response(
            {
                "key": found.key,
                "value": found.value,
                "variant": found.variant,
                "reason": found.reason,
                "rule": found.rule,
                "bucket": found.bucket,
                "variant_bucket": found.variant_bucket,
                "explanation": found.explanation,
            }
        )
