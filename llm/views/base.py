"""Base classes and parsing for the views of the hot path."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, ClassVar, Protocol

from django.core.handlers.asgi import ASGIRequest
from rest_framework.views import APIView

from billing.auth import act_as, key_check
from billing.auth.principal import Principal
from billing.budget_scopes import CUSTOMER, KEY
from billing.minute_limits import MinuteLimits
from llm.admission.refusals import limit_error
from llm.cache import directives
from llm.limits.types import LimitRefused, Subject
from llm.replies.http_responses import EventStream, HotResponse, json_response
from llm.request import idempotency, strict_json, tags
from llm.resolve import context
from llm.runtime import Runtime
from llm.types import Call, StreamReply
from valuecanvas.core.errors import (
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotPermitted,
    UnsupportedMedia,
    scope_frozen,
)
from valuecanvas.core.telemetry import traces
from valuecanvas.core.threads import LARGE_BYTES


class HotView(APIView):
    """A DRF view whose handlers are coroutines, run without a thread hop.

    The pipeline authenticates, so DRF's own authentication and permissions are off;
    errors of the tree become HTTP in valuecanvas/http/hot.py.
    """

    authentication_classes = ()
    permission_classes = ()
    # Whether the view reads its body by `body_stream`, once it knows the caller.
    streams_body = False

    async def dispatch(  # type: ignore[override]
        self, request: ASGIRequest, *args: Any, **kwargs: Any
    ) -> HotResponse:
        self.headers: dict[str, str] = {}
        method = (request.method or "").lower()
        handler = getattr(self, method, None)
        if handler is None or method not in self.http_method_names:
            allowed = ", ".join(self.allowed_methods)
            raise MethodNotAllowed(f"Use {allowed} here.", headers={"Allow": allowed})
        response: HotResponse = await handler(request, *args, **kwargs)
        return response

    async def options(  # type: ignore[override]
        self, request: ASGIRequest, *args: Any, **kwargs: Any
    ) -> HotResponse:
        return json_response(b"", {"Allow": ", ".join(self.allowed_methods)}, 204)


class StreamedBody(Protocol):
    """The body of a request, see valuecanvas/http/hot_body.py."""

    async def read(self) -> bytes: ...

    def chunks(self, most: int) -> AsyncIterator[bytes]: ...


class PaidView(HotView):
    """An endpoint that takes quota: refusals have headers with what is left."""

    endpoint: ClassVar[str] = "chat"

    async def post(self, request: ASGIRequest) -> HotResponse:
        # Until the body is parsed, the user is that of the key.
        call = bare_call(request, self.endpoint)
        try:
            if len(request.body) > LARGE_BYTES:
                call = await asyncio.to_thread(self.call, request)
            else:
                call = self.call(request)
            return await self.respond(request, call)
        except GatewayError as error:
            await runtime(request).quota_headers.add_to(call, error)
            if not error.recorded:
                refusals = runtime(request).refusals
                await refusals.note(refusals.watch(call), error)
            raise

    def call(self, request: ASGIRequest) -> Call:
        """Raises GatewayError."""
        raise NotImplementedError

    async def respond(self, request: ASGIRequest, call: Call) -> HotResponse:
        """Raises GatewayError."""
        return await answer(request, call)


def runtime(request: ASGIRequest) -> Runtime:
    """The process's runtime, as valuecanvas/asgi.py put it there."""
    found: Runtime = request.scope["valuecanvas.runtime"]
    return found


def body_stream(request: ASGIRequest) -> StreamedBody:
    """The body, for a view with `streams_body`."""
    found: StreamedBody = request.scope["valuecanvas.body"]
    return found


def request_id(request: ASGIRequest) -> uuid.UUID:
    found: uuid.UUID = request.scope["valuecanvas.request_id"]
    return found


def bare_call(request: ASGIRequest, endpoint: str) -> Call:
    """The call that only says who asks."""
    authorization = key_check.authorization(request.META)
    return Call(request_id(request), endpoint, {}, authorization=authorization)


async def count_in_minute(
    request: ASGIRequest, principal: Principal, letter: str, most: int
) -> None:
    """Count a call that costs no money; `letter` says of which kind. 0: no limit.

    Raises TooManyRequests.
    """
    if not most:
        return
    name = (
        KEY + principal.key if principal.key else f"{CUSTOMER}{principal.customer_id}"
    )
    # Nothing is given back: each try counts.
    taken = await runtime(request).limiter.take(
        [Subject(f"{letter}:{name}", MinuteLimits(requests=most))],
        request_id=str(request_id(request)),
        tokens=0,
        lease_s=0,
    )
    if isinstance(taken, LimitRefused):
        raise limit_error(taken)


def require_scope(principal: Principal, scope: str) -> None:
    """Raises NotPermitted."""
    if scope in principal.frozen_scopes:
        raise scope_frozen(scope)
    if scope not in principal.scopes:
        raise NotPermitted(f"This key lacks the scope '{scope}'.", code="missing_scope")


def json_body(request: ASGIRequest) -> dict[str, Any]:
    """The body as an object. Raises UnsupportedMedia, InvalidRequest, BodyTooLarge."""
    if request.content_type != "application/json":
        raise UnsupportedMedia("Send JSON, with Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMedia("Send the body uncompressed.")
    return strict_json.parse(request.body)


def trace_id(request: ASGIRequest) -> str:
    """The id of our trace, or that of a W3C traceparent header, or ''."""
    if trace := traces.current():
        return trace.id
    parent = traces.parse_parent(request.headers.get("traceparent", ""))
    return f"{parent.trace_id:032x}" if parent else ""


def call_of(
    request: ASGIRequest,
    endpoint: str,
    body: dict[str, Any],
    *,
    user_id: str | None = None,
    user: str = "",
    channel: str = "",
) -> Call:
    """The call that `request` makes, by its headers. Raises InvalidRequest.

    `user_id` is the body's own field for the user to be billed, `user` its label.
    """
    sent = request.META
    on_behalf, named_in = named_user(request, user_id)
    return Call(
        id=request_id(request),
        endpoint=endpoint,
        body=body,
        authorization=key_check.authorization(sent),
        on_behalf=on_behalf,
        named_in=named_in,
        user=user,
        channel=channel,
        trace_id=trace_id(request),
        size=len(request.body),
        directives=directives.parse(sent),
        context=context.parse(sent.get("HTTP_X_VALUECANVAS_CONTEXT")),
        tags=tags.parse(sent.get("HTTP_X_VALUECANVAS_TAGS")),
        idempotency_key=idempotency.parse(sent.get("HTTP_IDEMPOTENCY_KEY")),
    )


def named_user(request: ASGIRequest, user_id: str | None) -> tuple[str | None, str]:
    """The user to bill that the request names, if any, and where it does.

    Raises InvalidRequest if it names two.
    """
    header = request.headers.get("x-valuecanvas-user")
    if header is None:
        return user_id, "user" if user_id is None else "userId"
    # A header's text is bytes read as Latin-1; names are sent as UTF-8.
    found = header.encode("latin-1").decode("utf-8", "replace")
    if user_id not in (None, found):
        raise InvalidRequest(
            f"'userId' and the header '{act_as.HEADER}' name different users.",
            param="userId",
        )
    return found, act_as.HEADER


async def answer(request: ASGIRequest, call: Call) -> HotResponse:
    """Run the call and answer as the pipeline does."""
    if call.body.get("stream"):
        # From here on a client that leaves ends the call; others are completed.
        request.scope["valuecanvas.watch_client"]()
    reply = await runtime(request).pipeline.run(call)
    if isinstance(reply, StreamReply):
        return EventStream(reply.parts, reply.headers)
    return json_response(reply.body, reply.headers, reply.status)
