"""The ids of the request or job under way, which each of its log lines gets."""

import time
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import structlog
from django.conf import settings
from structlog.typing import EventDict, WrappedLogger

from valuecanvas.core.errors import GatewayError

log = structlog.get_logger("request")
# The client left before there was an answer; nginx has the same number for it.
CLIENT_GONE = 499
# structlog's own context has a variable for each id, and copies all on each line.
_current: ContextVar["RequestContext | None"] = ContextVar("request", default=None)


@dataclass(slots=True)
class RequestContext:
    """One request or job; its tasks and threads share it, with ids that come later.

    Leaving it logs the request's event, unless its settlement does.
    """

    # The route that was called, never the path: that may hold anything.
    endpoint: str
    ids: dict[str, Any] = field(default_factory=dict)
    status: int = CLIENT_GONE
    code: str = ""
    replayed: bool = False
    logged: bool = False
    started: float = field(default_factory=time.monotonic)
    _token: "Token[RequestContext | None]" = field(init=False, repr=False)

    def __enter__(self) -> "RequestContext":
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, GatewayError):
            self.refuse(error)
        elif isinstance(error, Exception):
            self.status, self.code = GatewayError.status, GatewayError.type
        if self.endpoint and not self.logged and settings.ACCESS_LOG:
            self._log()
        _current.reset(self._token)

    def name(self, endpoint: str) -> None:
        """Name what was called; nothing for a probe, which has no event."""
        self.endpoint = self.endpoint and endpoint

    def refuse(self, error: GatewayError) -> None:
        """Note the error that is the answer."""
        self.status, self.code = error.status, error.code or error.type

    def _log(self) -> None:
        log.info(
            "request.done",
            endpoint=self.endpoint,
            status=_outcome(self.status),
            http_status=self.status,
            error_code=self.code,
            replayed=self.replayed,
            latency_ms=int((time.monotonic() - self.started) * 1000),
        )


def _outcome(status: int) -> str:
    if status == CLIENT_GONE:
        return "client_gone"
    if status >= 500:
        return "error"
    return "refused" if status >= 400 else "ok"


def current() -> RequestContext:
    """That of the request under way; outside of one a new one that nobody else sees."""
    return _current.get() or RequestContext("")


def add(**ids: Any) -> None:
    """Add ids that became known."""
    current().ids.update(ids)


def add_ids(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A processor of structlog; what a line itself says comes first."""
    found = _current.get()
    return event if found is None else {**found.ids, **event}
