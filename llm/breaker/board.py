"""All breakers of one process: shared state in Redis, local state if Redis fails."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from llm.breaker.machine import Machine
from llm.breaker.thresholds import THRESHOLDS, Thresholds
from llm.breaker.types import (
    BreakerAnswer,
    BreakerReport,
    BreakerState,
    BreakerView,
    Event,
    Name,
    Pass,
    Rejected,
)
from llm.metrics import BREAKER
from valuecanvas.core.storage.store import Script, Store, StoreDown

# A closed breaker is trusted this long before Redis is asked again, in seconds.
BELIEVED_S = 0.2
# Successes of a healthy breaker are reported together, after this at most, in seconds.
REPORT_AFTER_S = 1.0

_LEVEL = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}

OnTransition = Callable[[Name, BreakerState, BreakerState, str], None]


def load_script(thresholds: Thresholds) -> Script:
    return Script.load(Path(__file__).with_name("script.lua"), **asdict(thresholds))


SCRIPT = load_script(THRESHOLDS)


@dataclass(slots=True)
class _View:
    generation: int = 0
    fresh_until: float = 0.0
    failing: bool = False
    successes: int = 0
    timer: asyncio.TimerHandle | None = None
    # As the metric has it.
    state: BreakerState = BreakerState.CLOSED
    machine: Machine = field(default_factory=Machine)


def redis_key(prefix: str, name: Name) -> str:
    scope = f":{name.scope}" if name.scope else ""
    return f"{prefix}:{{breaker:{name.provider}:{name.model}}}{scope}"


async def free(store: Store, name: Name, owner: str) -> None:
    """Free the probe slot that the dead process `owner` held.

    Raises StoreDown, RedisError.
    """
    await store.run(SCRIPT, redis_key(store.prefix, name), "free", owner)


def parse_view(reply: list[Any]) -> BreakerView:
    state, _, reason, completed, failures, retry, throttled, _ = reply
    return BreakerView(
        BreakerState(_text(state)), _text(reason), completed, failures, retry, throttled
    )


class Board:
    """Call `acquire` before a call, and `report_success` or `report` after it.

    `owner` names the process: if it dies, its probe slots are freed by that name.
    """

    def __init__(
        self, store: Store, on_transition: OnTransition, owner: str = ""
    ) -> None:
        self._store = store
        self._owner = owner
        self._on_transition = on_transition
        self._views: dict[Name, _View] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def acquire(self, name: Name, lease_s: float) -> Pass | Rejected:
        """Permission for one call, or why it is refused."""
        view = self._views.setdefault(name, _View())
        if time.monotonic() < view.fresh_until:
            return Pass(view.generation)
        lease_ms = int(lease_s * 1000)
        try:
            if view.successes:
                await self._send_redis(name, view, self._pending(view))
            answer = await self._acquire_redis(name, lease_ms)
        except (StoreDown, RedisError):
            return self._acquire_local(view, lease_ms)
        _note_state(name, view, _state_of(answer))
        if isinstance(answer, Rejected):
            return answer
        view.generation = answer.generation
        if answer.probe:
            self._on_transition(
                name, BreakerState.OPEN, BreakerState.HALF_OPEN, "probing"
            )
        else:
            view.fresh_until = time.monotonic() + BELIEVED_S
        return answer

    def report_success(self, name: Name, permit: Pass) -> None:
        """Report a success. This costs nothing while the breaker is healthy."""
        view = self._views.setdefault(name, _View())
        if permit.probe or permit.local or view.failing:
            self._start(self.report(name, permit, Event.OK))
            return
        if permit.generation != view.generation:
            return
        view.successes += 1
        if view.timer is None:
            loop = asyncio.get_running_loop()
            view.timer = loop.call_later(REPORT_AFTER_S, self._flush, name, view)

    async def report(
        self,
        name: Name,
        permit: Pass,
        event: Event,
        wait_s: float = 0.0,
        *,
        injected_by: str = "",
    ) -> None:
        """Report an outcome; `wait_s` is a throttled provider's Retry-After.

        `injected_by` is the chaos experiment that made the call fail.
        """
        view = self._views.setdefault(name, _View())
        successes = 1 if event is Event.OK else 0
        if permit.generation == view.generation and not permit.local:
            successes += self._drain(view)
        report = BreakerReport(
            event=event,
            generation=permit.generation,
            successes=successes,
            wait_ms=int(wait_s * 1000),
            # Spreads probes over processes; nothing secret.
            jitter=random.random() * THRESHOLDS.jitter,  # noqa: S311
            injected_by=injected_by,
        )
        if event is not Event.OK:
            view.fresh_until = 0.0
        if permit.local:
            self._note_local(name, view, report)
            return
        try:
            await self._send_redis(name, view, report)
        except (StoreDown, RedisError):
            self._note_local(name, view, report)

    async def read(self, name: Name) -> BreakerView:
        """The state of a breaker now."""
        try:
            reply = await self._store.run(
                SCRIPT, redis_key(self._store.prefix, name), "look"
            )
        except (StoreDown, RedisError):
            return self._read_local(self._views.setdefault(name, _View()))
        return parse_view(reply)

    async def close(self) -> None:
        """Report the successes that still wait."""
        for name, view in self._views.items():
            if view.timer is not None:
                view.timer.cancel()
                self._flush(name, view)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    async def _acquire_redis(self, name: Name, lease_ms: int) -> Pass | Rejected:
        reply = await self._store.run(
            SCRIPT,
            redis_key(self._store.prefix, name),
            "acquire",
            lease_ms,
            self._owner,
        )
        if reply[0] == b"pass":
            return Pass(reply[1], probe=bool(reply[2]))
        return Rejected(BreakerState(_text(reply[1])), _text(reply[2]), reply[3])

    async def _send_redis(self, name: Name, view: _View, report: BreakerReport) -> None:
        before, state, generation, reason, failing = await self._store.run(
            SCRIPT,
            redis_key(self._store.prefix, name),
            "tell",
            report.event.value,
            report.generation,
            report.successes,
            report.wait_ms,
            report.jitter,
        )
        answer = BreakerAnswer(
            BreakerState(_text(before)),
            BreakerState(_text(state)),
            generation,
            _text(reason),
            bool(failing),
        )
        self._apply(name, view, answer, report.injected_by)

    def _acquire_local(self, view: _View, lease_ms: int) -> Pass | Rejected:
        answer = view.machine.acquire(_now_ms(), lease_ms)
        if isinstance(answer, Pass):
            return Pass(answer.generation, answer.probe, local=True)
        return answer

    def _note_local(self, name: Name, view: _View, report: BreakerReport) -> None:
        answer = view.machine.report(_now_ms(), report)
        _note_state(name, view, answer.state)
        if answer.before is not answer.state:
            self._tell(name, answer, report.injected_by)

    def _read_local(self, view: _View) -> BreakerView:
        machine, now = view.machine, _now_ms()
        completed, failures = machine.counts(now)
        return BreakerView(
            machine.state,
            machine.reason,
            completed,
            failures,
            max(machine.until - now, 0),
            max(machine.throttled - now, 0),
        )

    def _apply(
        self, name: Name, view: _View, answer: BreakerAnswer, injected_by: str
    ) -> None:
        view.generation = answer.generation
        view.failing = answer.failing
        _note_state(name, view, answer.state)
        if answer.state is not BreakerState.CLOSED:
            view.fresh_until = 0.0
        if answer.before is not answer.state:
            self._tell(name, answer, injected_by)

    def _tell(self, name: Name, answer: BreakerAnswer, injected_by: str) -> None:
        reason = answer.reason
        if injected_by:
            reason = f"{reason} (injected by {injected_by})"
        self._on_transition(name, answer.before, answer.state, reason)

    def _flush(self, name: Name, view: _View) -> None:
        view.timer = None
        if view.successes:
            self._start(self._send_quietly(name, view, self._pending(view)))

    async def _send_quietly(
        self, name: Name, view: _View, report: BreakerReport
    ) -> None:
        try:
            await self._send_redis(name, view, report)
        except (StoreDown, RedisError):
            self._note_local(name, view, report)

    def _pending(self, view: _View) -> BreakerReport:
        return BreakerReport(Event.OK, view.generation, successes=self._drain(view))

    def _drain(self, view: _View) -> int:
        count, view.successes = view.successes, 0
        return count

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _state_of(answer: Pass | Rejected) -> BreakerState:
    if isinstance(answer, Rejected):
        return answer.state
    return BreakerState.HALF_OPEN if answer.probe else BreakerState.CLOSED


def _note_state(name: Name, view: _View, state: BreakerState) -> None:
    """Set the metric, also where another process opened or closed the breaker."""
    if state is not view.state:
        view.state = state
        if name.scope:
            # The state that nearly all calls meet is another's.
            return
        BREAKER.labels(name.provider, name.model).set(_LEVEL.get(state, 0))


def _now_ms() -> int:
    return int(time.monotonic() * 1000)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
