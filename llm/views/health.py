"""How the gateway fares: breakers, providers, ledger, Redis."""

from typing import Any

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema, extend_schema_view

from llm.breaker.types import Name, State
from llm.responses import json_response
from llm.runtime import Runtime
from llm.snapshot import Snapshot
from llm.views import schemas
from llm.views.base import HotView, runtime


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
        look = await of.board.look(Name(provider, model))
        found.append(
            {
                "provider": provider,
                "model": model,
                "breaker": look.state.value,
                "reason": look.reason,
                "completed": look.completed,
                "failures": look.failures,
                "retry_ms": look.retry_ms,
                "throttled_ms": look.throttled_ms,
            }
        )
    return found


def _status(of: Runtime, providers: list[dict[str, Any]]) -> str:
    shut = [one for one in providers if one["breaker"] == State.OPEN]
    if not of.ledger.healthy or (providers and len(shut) == len(providers)):
        return "down"
    return "degraded" if shut or not of.store.up else "ok"


@extend_schema_view(
    get=extend_schema(
        operation_id="gatewayHealth",
        summary="Gateway health",
        responses=schemas.Health,
        tags=["Gateway"],
    )
)
class Health(HotView):
    """Breakers, providers, ledger queue and Redis, for people and dashboards."""

    async def get(self, request: ASGIRequest) -> HttpResponseBase:
        of = runtime(request)
        snapshot = await of.admission.snapshot()
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
