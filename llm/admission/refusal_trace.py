"""Keeps a trace of refused requests, written in the background.

A refusal costs its request one small object: rows are made and written by
llm/admission/trace_rows.py, or counted where there are too many of one caller.
"""

import asyncio
import time
from dataclasses import dataclass, field
from types import TracebackType

from django.conf import settings

from billing.auth.callers import Callers
from billing.auth.principal import Principal
from billing.models import RefusalStep
from billing.refusals.refusal_rows import CountKey, RefusedRequest
from llm import metrics
from llm.admission.authentication import Authentication
from llm.admission.trace_rows import CallerMinutes, TraceRows
from llm.types import Call
from valuecanvas.core.errors import (
    GatewayError,
    NotAuthenticated,
    NotPermitted,
    TooManyRequests,
)
from valuecanvas.core.telemetry import request_context, traces
from valuecanvas.core.telemetry.traces import Trace

# Longest wait for the caller of a request that was refused before it was known.
WITHIN_S = 1.0


@dataclass(slots=True)
class Progress:
    """How far a request came. Leaving its context notes the refusal that ended it."""

    trace: "RefusalTrace"
    call: Call
    step: RefusalStep = RefusalStep.VALIDATE
    caller: Principal | None = None
    epoch: int | None = None
    spans: Trace | None = field(default_factory=traces.current)

    def enter(self, step: RefusalStep) -> None:
        """Begin `step`."""
        self.step = step
        if self.spans is not None:
            self.spans.enter(step)

    def advance(
        self, step: RefusalStep, caller: Principal, epoch: int | None = None
    ) -> None:
        """Begin `step`, with what is known by now."""
        self.enter(step)
        if caller is not self.caller:
            request_context.add(
                customer_id=str(caller.customer_id), key=caller.key, team=caller.team
            )
        self.caller, self.epoch = caller, epoch

    async def __aenter__(self) -> "Progress":
        self.enter(self.step)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        refusal = error if isinstance(error, GatewayError) else None
        if self.spans is not None:
            self.spans.leave((refusal.code or refusal.type) if refusal else "")
        if refusal is not None:
            await self.trace.note(self, refusal)
        elif isinstance(error, Exception):
            _count_once(self.call, GatewayError("It crashed."))


class RefusalTrace:
    """Notes the refusals of one process."""

    def __init__(
        self, authentication: Authentication, callers: Callers, rows: TraceRows
    ) -> None:
        self._authentication = authentication
        self._callers = callers
        self._rows = rows
        self._kept = CallerMinutes()

    def watch(self, call: Call) -> Progress:
        """A context in which `call` comes as far as its caller and plan say."""
        return Progress(self, call)

    async def note(self, progress: Progress, error: GatewayError) -> None:
        """Count a refusal, and keep it if its caller can be found."""
        call = progress.call
        _count_once(call, error)
        if call.restarted:
            # It was admitted before: its row in the ledger says what failed.
            error.recorded = True
        if error.recorded or _is_asked_again(call, error):
            return
        caller = progress.caller or await self._find_caller(call, error)
        if caller is not None:
            self.add(progress, caller, error)

    def note_known(self, progress: Progress, error: GatewayError) -> None:
        """Keep a refusal if its caller is in memory: nothing is looked up."""
        if error.recorded:
            return
        _count_once(progress.call, error)
        peek = self._callers.peek
        if _is_of_key(error):
            progress.step, peek = RefusalStep.AUTHENTICATE, self._callers.peek_owner
        elif isinstance(error, TooManyRequests):
            progress.step = RefusalStep.LOOK_UP
        caller = peek(progress.call.authorization)
        if caller is not None:
            self.add(progress, caller, error)

    def add(self, progress: Progress, caller: Principal, error: GatewayError) -> None:
        """Keep the refusal, or count it if there were too many of its caller."""
        error.recorded = True
        call, code, now = progress.call, error.code or error.type, time.time()
        minute = int(now // 60)
        if self._kept.count(caller, minute) >= settings.REFUSALS_PER_MINUTE:
            who = caller.customer_id.int, caller.key
            self._rows.count(CountKey(minute, *who, code, call.endpoint))
        elif self._rows.full:
            metrics.REFUSALS_DROPPED.inc()
        else:
            self._kept.add(caller, minute)
            self._rows.add(_refused_request(progress, caller, error, now))

    async def _find_caller(self, call: Call, error: GatewayError) -> Principal | None:
        """Who called; of a key that is refused its owner, if it is in memory."""
        if _is_of_key(error) or error.status >= 500:
            return self._callers.peek_owner(call.authorization)
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._authentication.identify(call)
        except (GatewayError, TimeoutError):
            return None


def _is_of_key(error: GatewayError) -> bool:
    """Whether the key, right or not, was refused itself."""
    return isinstance(error, NotAuthenticated | NotPermitted)


def _count_once(call: Call, error: GatewayError) -> None:
    """Count a refusal, which several parts of the gateway may note."""
    if not error.counted:
        error.counted = True
        metrics.REFUSED.labels(call.endpoint, error.code or error.type).inc()


def _is_asked_again(call: Call, error: GatewayError) -> bool:
    """Whether a job asks again at once, without the share of a batch."""
    never = error.headers.get("x-should-retry") == "false"
    return call.share < 1 and never and isinstance(error, TooManyRequests)


def _refused_request(
    progress: Progress, caller: Principal, error: GatewayError, at: float
) -> RefusedRequest:
    call = progress.call
    model = call.body.get("model")
    return RefusedRequest(
        id=call.id,
        at=at,
        caller=caller,
        endpoint=call.endpoint,
        model=model[:200] if isinstance(model, str) else "",
        step=progress.step,
        status=error.status,
        code=error.code or error.type,
        param=error.param or "",
        message=error.message[:1000],
        limits=error.limits,
        max_tokens=error.max_tokens,
        retry_after=error.headers.get("Retry-After"),
        epoch=progress.epoch,
        trace_id=call.trace_id,
        job=call.job,
    )
