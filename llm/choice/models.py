"""Which of the models that operators name can answer a request."""

import datetime as dt

from django.conf import settings

from billing.principal import Principal
from llm.resolve import KIND_OF, may_use
from llm.snapshot import Snapshot


def exists(name: str, endpoint: str, snapshot: Snapshot) -> bool:
    """Whether there is such a model in use, for this endpoint."""
    model = snapshot.models.get(name)
    return model is not None and model.enabled and model.kind == KIND_OF[endpoint]


def usable(
    name: str, endpoint: str, *, principal: Principal, snapshot: Snapshot
) -> bool:
    """Whether it could answer this caller. What an operator named may be gone since.

    A provider that fails just now changes nothing here.
    """
    return (
        exists(name, endpoint, snapshot)
        and may_use(principal, name)
        and _can_be_billed(name, snapshot)
    )


def _can_be_billed(name: str, snapshot: Snapshot) -> bool:
    """Whether it has a route that may be used at a price."""
    routes = snapshot.routes.get(name, ())
    if settings.LLM_UNPRICED != "block":
        return bool(routes)
    now = dt.datetime.now(dt.UTC)
    return any(
        snapshot.rate(one.provider, one.upstream_model, now) is not None
        for one in routes
    )
