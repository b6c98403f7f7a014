"""The fault provider's server: the demo provider's, counted, logged and controlled."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson
from aiohttp import web

from tests.fault_provider import endpoints
from tests.fault_provider.behaviours import Behaviour, Overrides
from tests.fault_provider.client_connection import Connection
from tests.fault_provider.delivery import deliver
from tests.fault_provider.payload import FaultReply, Stream
from tests.fault_provider.responses import answer_responses
from tests.fault_provider.send_log import Counts, LoggedCall
from valuecanvas.embedded.demo_provider.errors import RequestRefused
from valuecanvas.embedded.demo_provider.server import DemoProvider, json_response

# The caller's id of an attempt, which the send log uses.
_ATTEMPT_HEADER = "x-valuecanvas-attempt"
# Keys with this prefix are refused as revoked.
_REVOKED = "Bearer revoked"
_REFUSAL = Behaviour(status=401)

Endpoint = Callable[[bytes, Overrides], FaultReply]

_ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": endpoints.answer_chat,
    "/v1/embeddings": endpoints.answer_embeddings,
    "/v1/responses": answer_responses,
}


class FaultProvider(DemoProvider):
    """The demo provider with faults by model name.

    It keeps a send log in a folder if one is named; `control` adds the routes with which
    tests control it.
    """

    def __init__(self, send_log: Path | None = None, *, control: bool = False) -> None:
        self.overrides = Overrides()
        self.counts: dict[str, Counts] = defaultdict(Counts)
        self.send_log = send_log
        self.control = control
        if send_log is not None:
            send_log.mkdir(parents=True, exist_ok=True)

    def routes(self) -> list[web.RouteDef]:
        """The endpoints and, if wanted, the control."""
        control = [
            web.post("/_control", self.override),
            web.get("/_stats", self.stats),
        ]
        return [
            *(control if self.control else ()),
            *(
                web.post(path, partial(self.answer_with_faults, endpoint))
                for path, endpoint in _ENDPOINTS.items()
            ),
            web.get("/v1/models", self.models),
        ]

    async def answer_with_faults(
        self, endpoint: Endpoint, request: web.Request
    ) -> web.StreamResponse:
        """Reads a request by `endpoint` and sends its answer."""
        reply = endpoint(await request.read(), self.overrides)
        start = {
            "attempt": request.headers.get(_ATTEMPT_HEADER),
            "endpoint": request.path,
            "model": reply.model,
            "stream": isinstance(reply.payload, Stream),
            "prompt_tokens": reply.prompt_tokens,
        }
        call = LoggedCall(self.counts[reply.model], self.send_log, start)
        connection = Connection(request, call)
        try:
            behaviour = _REFUSAL if _is_revoked(request) else reply.behaviour
            await deliver(connection, reply.payload, behaviour)
        except asyncio.CancelledError:
            call.outcome = "client_gone"  # or the server is being stopped
            raise
        except ConnectionError:
            call.outcome = "client_gone"
        finally:
            call.end()
        return connection.response

    async def models(self, request: web.Request) -> web.Response:
        """GET /v1/models, for keys that are not revoked."""
        if _is_revoked(request):
            raise web.HTTPUnauthorized
        return await super().models(request)

    async def override(self, request: web.Request) -> web.Response:
        """POST /_control: makes a model behave as named."""
        try:
            body = orjson.loads(await request.read())
            self.overrides.override(body["model"], body["behaviour"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RequestRefused(f"Not a model and a behaviour: {error}") from error
        return json_response(b"{}")

    async def stats(self, _: web.Request) -> web.Response:
        """GET /_stats: how many calls of each model there were, and are in flight."""
        return json_response(orjson.dumps(self.counts))


def _is_revoked(request: web.Request) -> bool:
    return request.headers.get("Authorization", "").startswith(_REVOKED)
