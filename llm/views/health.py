"""How the gateway fares: breakers, providers, ledger, Redis."""

import time
from dataclasses import dataclass
from typing import Any

import orjson
from django.core.handlers.asgi import ASGIRequest
from drf_spectacular.utils import extend_schema

from llm.breaker.types import BreakerState, Name
from llm.configuration.snapshot import Snapshot
from llm.replies.http_responses import HotResponse, json_response
from llm.runtime import Runtime
from llm.views import schemas
from llm.views.base import HotView, bare_call, runtime
from valuecanvas.core.access import monitor_access

MOST_AGE_S = 1.0


@dataclass
class _Recent:
    of: Runtime | None = None
    status: str = ""
    due: float = 0.0


_recent = _Recent()


async def _providers(of: Runtime, snapshot: Snapshot) -> list[dict[str, Any]]:
    names = sorted(
        {
            (route.provider, route.upstream_model)
            for routes in snapshot.routes.values()
            for route in routes
        }
    )
    found = []
    for provider, model in names:
        view = await of.board.read(Name(provider, model))
        found.append(
            {
                "provider": provider,
                "model": model,
                "breaker": view.state.value,
                "reason": view.reason,
                "completed": view.completed,
                "failures": view.failures,
                "retry_ms": view.retry_ms,
                "throttled_ms": view.throttled_ms,
            }
        )
    return found


async def _may_see(request: ASGIRequest) -> bool:
    """Raises NotAuthenticated, NotPermitted for a wrong key."""
    if monitor_access.is_allowed(request.META):
        return True
    call = bare_call(request, "health")
    if not call.authorization:
        return False
    principal = await runtime(request).authentication.identify(call)
    return bool(principal.key)


async def _recent_status(of: Runtime, snapshot: Snapshot) -> str:
    """As of MOST_AGE_S ago at most: anybody may ask, and the breakers are in Redis."""
    if _recent.of is not of or time.monotonic() >= _recent.due:
        status = _status(of, await _providers(of, snapshot))
        _recent.of, _recent.status = of, status
        _recent.due = time.monotonic() + MOST_AGE_S
    return _recent.status


def _status(of: Runtime, providers: list[dict[str, Any]]) -> str:
    shut = [one for one in providers if one["breaker"] == BreakerState.OPEN]
    if not of.ledger.healthy or (providers and len(shut) == len(providers)):
        return "down"
    return "degraded" if shut or not of.store.up else "ok"


class HealthView(HotView):
    """Breakers, providers, ledger queue and Redis, for people and dashboards.

    A caller with neither a key nor the right to see the metrics gets only the status.
    """

    @extend_schema(
        operation_id="getGatewayHealth",
        summary="Gateway health",
        responses=schemas.HealthSerializer,
        # A key is welcome, but not needed.
        auth=[{}, {"key": []}],  # type: ignore[list-item] # typed as names alone
        tags=["Gateway"],
    )
    async def get(self, request: ASGIRequest) -> HotResponse:
        of = runtime(request)
        snapshot = await of.committed.latest()
        if not await _may_see(request):
            status = await _recent_status(of, snapshot)
            return json_response(orjson.dumps({"status": status}))
        providers = await _providers(of, snapshot)
        body = {
            "status": _status(of, providers),
            "epoch": snapshot.epoch,
            "providers": providers,
            "ledger": {"healthy": of.ledger.healthy},
            "cache": {"redis": "up" if of.store.up else "passed by"},
            "queue": {"ledger_depth": of.ledger.depth},
        }
        return json_response(orjson.dumps(body))
