"""What the endpoints of jobs share: the owner, and queries off the event loop."""

import uuid
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import Error as DatabaseError

from billing.models import Scope
from llm.jobs.owner import Owner, owner_of
from llm.views.base import HotView, call_of, count_in_minute, require_scope, runtime
from valuecanvas.core.db.statement_timeout import limit_statements
from valuecanvas.core.errors import NotFound, Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class JobsView(HotView):
    """An endpoint of what customers own."""

    async def owner(self, request: ASGIRequest) -> Owner:
        """The caller, or the user it acts for. Raises GatewayError."""
        gateway = runtime(request)
        # First, as a key that was revoked is dropped with the change of the snapshot.
        await gateway.committed.latest()
        principal = await gateway.authentication.identify(call_of(request, "jobs", {}))
        require_scope(principal, Scope.LLM)
        await count_in_minute(request, principal, "j", settings.JOBS_CALLS_PER_MINUTE)
        return owner_of(principal)


async def query(
    request: ASGIRequest,
    function: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """`function(*args)` in the database thread of jobs. Raises what it does, Unavailable."""

    def limited() -> T:
        with limit_statements(settings.DB_PAGE_TIMEOUT_S):
            return function(*args, **kwargs)

    try:
        return await runtime(request).jobs_db.run(limited)
    except DatabaseError as error:
        raise Unavailable(
            "The database cannot answer now; try again shortly.",
            headers={"Retry-After": "1"},
        ) from error


def parse_id(text: str, what: str = "job") -> uuid.UUID:
    """The id in a URL. Raises NotFound."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise unknown(text, what) from error


def unknown(name: object, what: str = "job") -> NotFound:
    return NotFound(f"You have no {what} '{str(name)[:80]}'.", code=f"{what}_not_found")
