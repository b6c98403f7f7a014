"""What the endpoints of jobs share: the owner, and queries off the event loop."""

import uuid
from collections.abc import Callable
from typing import ClassVar, ParamSpec, TypeVar

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


class OwnedView(HotView):
    """An endpoint of what customers own: the base of all with an id of it in their URL.

    The id is looked up among the rows of `owner` (llm/jobs/owner.py): one of another
    customer is 404, as one that never was.
    """

    # The scope that a key needs, '' for none; whose calls are counted, and the limit.
    scope: ClassVar[str] = Scope.LLM
    counted: ClassVar[tuple[str, str]] = ("j", "JOBS_CALLS_PER_MINUTE")

    async def owner(self, request: ASGIRequest) -> Owner:
        """The caller, or the user it acts for. Raises GatewayError."""
        gateway = runtime(request)
        # First, as a key that was revoked is dropped with the change of the snapshot.
        await gateway.committed.latest()
        principal = await gateway.authentication.identify(call_of(request, "owned", {}))
        if self.scope:
            require_scope(principal, self.scope)
        letter, limit = self.counted
        await count_in_minute(request, principal, letter, getattr(settings, limit))
        return owner_of(principal)


class JobsView(OwnedView):
    """An endpoint of jobs, batches and files."""


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
