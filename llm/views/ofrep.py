"""Flags for any OpenFeature client: the OpenFeature Remote Evaluation Protocol 0.3.

https://github.com/open-feature/protocol (service/openapi.yaml).
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.utils.http import parse_etags
from drf_spectacular.utils import extend_schema, extend_schema_view

from billing.auth.principal import Principal
from billing.models import Scope
from flags.engine import answer
from flags.engine.answer import Evaluation
from flags.engine.evaluation import FlagSet, evaluate, evaluate_all
from llm.replies.http_responses import HotResponse, json_response
from llm.views import ofrep_schemas as schemas
from llm.views.base import HotView, bare_call, json_body, require_scope, runtime
from valuecanvas.core.errors import (
    GatewayError,
    InvalidRequest,
    UnsupportedMedia,
)
from valuecanvas.core.targeting.conditions import Attributes

TARGETING_KEY = "targetingKey"
# Most bytes of the attributes, which every flag may read.
MOST_BYTES = 65_536
# The protocol's reasons; our other reasons are in the metadata.
REASONS = frozenset({"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED"})
STATUS = {answer.FLAG_NOT_FOUND: 404, answer.TARGETING_KEY_MISSING: 400}


def _document_post(operation_id: str, summary: str, answers: dict[int, Any]) -> Any:
    refusals = {400: schemas.OfrepFailure, 401: schemas.OfrepProblem}
    return extend_schema_view(
        post=extend_schema(
            operation_id=operation_id,
            summary=summary,
            request=schemas.OfrepRequest,
            responses={**answers, **refusals, 403: schemas.OfrepProblem},
            tags=["Flags"],
        )
    )


class OfrepView(HotView):
    """Authenticates, and answers errors in the protocol's own form."""

    async def post(self, request: ASGIRequest, key: str | None = None) -> HotResponse:
        named = {} if key is None else {"key": key}
        try:
            flags, principal = await _caller(request)
            context = _context(request, principal)
        except (InvalidRequest, UnsupportedMedia) as error:
            code = error.code if error.code in schemas.ERROR_CODES else "PARSE_ERROR"
            body = {**named, "errorCode": code, "errorDetails": error.message}
            return json_response(orjson.dumps(body), status=400)
        except GatewayError as error:
            body = {**named, "errorDetails": error.message}
            return json_response(orjson.dumps(body), error.headers, error.status)
        return self.answer(request, flags, context, key)

    def answer(
        self,
        request: ASGIRequest,
        flags: FlagSet,
        context: Mapping[str, Any],
        key: str | None,
    ) -> HotResponse:
        """The answer of each endpoint for `context`."""
        raise NotImplementedError


@_document_post(
    "evaluateFlag",
    "Evaluate a flag (OFREP)",
    {200: schemas.OfrepSuccess, 404: schemas.OfrepFailure},
)
class EvaluateFlag(OfrepView):
    """The value of one flag for `context`, with its variant and reason."""

    def answer(
        self,
        request: ASGIRequest,
        flags: FlagSet,
        context: Mapping[str, Any],
        key: str | None,
    ) -> HotResponse:
        found = evaluate(flags, key or "", context)
        runtime(request).exposures.note(found.key, found.variant)
        status = STATUS.get(found.error, 400) if found.error else 200
        return json_response(orjson.dumps(render_evaluation(found)), status=status)


@_document_post(
    "evaluateFlags", "Evaluate all flags (OFREP)", {200: schemas.OfrepBulk, 304: None}
)
class EvaluateFlags(OfrepView):
    """All flags for `context`. Send the ETag back in If-None-Match to spare yourself
    an answer that has not changed.
    """

    def answer(
        self,
        request: ASGIRequest,
        flags: FlagSet,
        context: Mapping[str, Any],
        key: str | None,
    ) -> HotResponse:
        now = time.time()
        etag = _etag(flags, context, now)
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if _has(request, etag):
            return json_response(b"", headers, 304)
        found = evaluate_all(flags, context, now=now)
        exposures = runtime(request).exposures
        for one in found:
            exposures.note(one.key, one.variant)
        body = {"flags": [render_evaluation(one) for one in found], "metadata": {}}
        return json_response(orjson.dumps(body), headers)


def render_evaluation(found: Evaluation) -> dict[str, Any]:
    """A flag as the protocol shows it: its value, or why there is none."""
    if found.error:
        return {
            "key": found.key,
            "errorCode": found.error,
            "errorDetails": found.why,
        }
    known = found.reason in REASONS
    body: dict[str, Any] = {
        "key": found.key,
        "reason": found.reason if known else "UNKNOWN",
        "metadata": {} if known else {"reason": found.reason},
    }
    if found.variant:
        # Without a variant the client uses its own default.
        body["value"], body["variant"] = found.value, found.variant
    if found.rule is not None:
        body["metadata"]["rule"] = found.rule
    return body


async def _caller(request: ASGIRequest) -> tuple[FlagSet, Principal]:
    """The flags, committed or last known, and the caller. Raises GatewayError."""
    call = bare_call(request, "flags")
    snapshot, principal = await runtime(request).free_reads.open(call)
    require_scope(principal, Scope.FLAGS_EVALUATE.value)
    return snapshot.flags, principal


def _context(request: ASGIRequest, principal: Principal) -> Attributes:
    """The caller's attributes. Raises InvalidRequest, UnsupportedMedia.

    A key belongs to a server, which may name its users; a token belongs to one user,
    who may not name another.
    """
    if len(request.body) > MOST_BYTES:
        raise InvalidRequest(
            f"The body may be at most {MOST_BYTES} bytes.", code="INVALID_CONTEXT"
        )
    body = json_body(request) if request.body else {}
    context = body.get("context", {})
    if not isinstance(context, dict):
        raise InvalidRequest(
            "'context' must be an object.", param="context", code="INVALID_CONTEXT"
        )
    subject = context.get(TARGETING_KEY)
    if subject is not None and not isinstance(subject, str):
        raise InvalidRequest(
            "'targetingKey' must be a text.", param="context", code="INVALID_CONTEXT"
        )
    if principal.key:
        return Attributes({"team": principal.team, **context})
    own = {
        TARGETING_KEY: principal.user_id,
        "user": principal.user_id,
        "customer": principal.user_id,
        "tier": principal.tier,
        "team": principal.team,
        "key": "",
    }
    return Attributes({**context, **own})


def _has(request: ASGIRequest, etag: str) -> bool:
    """Whether If-None-Match names `etag`, also as a weak one, or any."""
    known = parse_etags(request.headers.get("if-none-match", ""))
    return "*" in known or etag in (one.removeprefix("W/") for one in known)


def _etag(flags: FlagSet, context: Mapping[str, Any], now: float) -> str:
    """The ETag: a digest of all that an answer depends on."""
    seed = orjson.dumps([flags.version_at(now), context], option=orjson.OPT_SORT_KEYS)
    return f'"{hashlib.sha256(seed).hexdigest()[:32]}"'
