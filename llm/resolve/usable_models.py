"""Checks whether a model that an operator named can answer a request."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from billing.auth.principal import Principal
from llm.configuration.snapshot import Snapshot
from llm.request import model_needs
from llm.resolve.plan import KIND_OF, may_use
from valuecanvas.core.errors import InvalidRequest


def exists(name: str, endpoint: str, snapshot: Snapshot) -> bool:
    """Whether the model exists and is enabled, for this endpoint."""
    model = snapshot.models.get(name)
    return model is not None and model.enabled and model.kind == KIND_OF[endpoint]


def is_usable(
    name: str,
    endpoint: str,
    *,
    principal: Principal,
    snapshot: Snapshot,
    body: Mapping[str, Any] | None = None,
) -> bool:
    """Whether the model can answer this caller, and takes what is in `body`.

    It may have been deleted since it was named. Failing providers change nothing here.
    """
    return (
        exists(name, endpoint, snapshot)
        and may_use(principal, name)
        and _can_be_billed(name, snapshot)
        and (body is None or _takes(name, endpoint, body, snapshot))
    )


def _takes(
    name: str, endpoint: str, body: Mapping[str, Any], snapshot: Snapshot
) -> bool:
    model, routes = snapshot.models[name], snapshot.routes[name]
    try:
        model_needs.filter_able_routes(model, routes, snapshot.models, endpoint, body)
    except InvalidRequest:
        return False
    return True


def _can_be_billed(name: str, snapshot: Snapshot) -> bool:
    """Whether it has a route with a price."""
    routes = snapshot.routes.get(name, ())
    if settings.LLM_UNPRICED != "block":
        return bool(routes)
    now = dt.datetime.now(dt.UTC)
    return any(
        snapshot.rate(one.provider, one.upstream_model, now) is not None
        for one in routes
    )
