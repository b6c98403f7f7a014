"""Keeps a trace of refused requests, written in the background.

A refusal costs its request one small object: rows are made and written about once a
second. Of a caller and minute the first are kept whole and the rest are counted, so
that no flood fills the database; what waits is bounded too.
"""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass
from types import TracebackType

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError

from billing.auth.callers import Callers
from billing.auth.principal import Principal
from billing.models import RefusalStep
from billing.refusals.refusal_rows import CountKey, RefusedRequest, save
from llm import metrics
from llm.admission.authentication import Authentication
from llm.types import Call
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import (
    GatewayError,
    NotAuthenticated,
    NotPermitted,
    TooManyRequests,
)
from valuecanvas.core.storage.lru import Lru

log = structlog.get_logger("llm.refusals")
EVERY_S = 1.0
MOST_WAITING = 10_000
MOST_COUNTS = 10_000
MOST_CALLERS = 10_000
AT_A_TIME = 1_000
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

    def advance(
        self, step: RefusalStep, caller: Principal, epoch: int | None = None
    ) -> None:
        """Begin `step`, with what is known by now."""
        self.step, self.caller, self.epoch = step, caller, epoch

    async def __aenter__(self) -> "Progress":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, GatewayError):
            await self.trace.note(self, error)


class RefusalTrace(Background):
    """The refusals of one process that are not written yet."""

    def __init__(
        self, authentication: Authentication, callers: Callers, db: DbThread
    ) -> None:
        self._authentication = authentication
        self._callers = callers
        self._db = db
        self._waiting: deque[RefusedRequest] = deque()
        self._counts: Counter[CountKey] = Counter()
        # (customer, key) -> (the minute, how many were kept whole in it)
        self._kept: Lru[tuple[int, str], tuple[int, int]] = Lru(MOST_CALLERS)

    def watch(self, call: Call) -> Progress:
        """A context in which `call` comes as far as its caller and plan say."""
        return Progress(self, call)

    async def note(self, progress: Progress, error: GatewayError) -> None:
        """Count a refusal, and keep it if its caller can be found."""
        call = progress.call
        metrics.REFUSED.labels(call.endpoint, error.code or error.type).inc()
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
        caller = self._callers.peek(progress.call.authorization)
        if caller is not None and not error.recorded:
            self.add(progress, caller, error)

    def add(self, progress: Progress, caller: Principal, error: GatewayError) -> None:
        """Keep the refusal, or count it if there were too many of its caller."""
        error.recorded = True
        call, code, now = progress.call, error.code or error.type, time.time()
        minute = int(now // 60)
        # A number is found much faster than a UUID.
        who = caller.customer_id.int, caller.key
        before, kept = self._kept.get(who) or (minute, 0)
        kept = kept if before == minute else 0
        if kept >= settings.REFUSALS_PER_MINUTE:
            self._count(CountKey(minute, *who, code, call.endpoint))
            return
        if len(self._waiting) >= MOST_WAITING:
            metrics.REFUSALS_DROPPED.inc()
            return
        self._kept.put(who, (minute, kept + 1))
        self._waiting.append(_refused_request(progress, caller, error, now))

    async def stop(self) -> None:
        """Write what waits, if the database takes it."""
        await super().stop()
        await self.flush()

    async def flush(self) -> None:
        """Write what waits; returns when it is written or cannot be."""
        while await self._write():
            pass

    def _count(self, key: CountKey) -> None:
        if key in self._counts or len(self._counts) < MOST_COUNTS:
            self._counts[key] += 1
        else:
            metrics.REFUSALS_DROPPED.inc()

    async def _find_caller(self, call: Call, error: GatewayError) -> Principal | None:
        """Who called; of a key that is refused its owner, if it is in memory."""
        if isinstance(error, NotAuthenticated | NotPermitted) or error.status >= 500:
            return self._callers.peek_owner(call.authorization)
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._authentication.identify(call)
        except (GatewayError, TimeoutError):
            return None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    async def _write(self) -> bool:
        """Write a part of what waits; whether more can be written at once."""
        rows = [
            self._waiting.popleft() for _ in range(min(AT_A_TIME, len(self._waiting)))
        ]
        counts, self._counts = self._counts, Counter()
        if not rows and not counts:
            return False
        try:
            await asyncio.shield(self._db.run(save, rows, counts))
        except (OperationalError, InterfaceError) as error:
            log.warning("refusals.waiting", rows=len(rows), error=str(error)[:100])
            self._waiting.extendleft(reversed(rows))
            self._counts.update(counts)
            return False
        except DatabaseError as error:
            # What the database does not take would stand before all others.
            log.warning("refusals.dropped", rows=len(rows), error=str(error)[:100])
            metrics.REFUSALS_DROPPED.inc(len(rows))
        return bool(self._waiting)


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
