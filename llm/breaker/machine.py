"""The breaker on local state: the same logic as script.lua, tested with it."""

from dataclasses import dataclass, field

from llm.breaker.thresholds import THRESHOLDS, Thresholds
from llm.breaker.types import (
    BreakerAnswer,
    BreakerReport,
    BreakerState,
    Event,
    Pass,
    Rejected,
)


@dataclass(slots=True)
class Machine:
    """One breaker. `now` is milliseconds of any steady clock."""

    state: BreakerState = BreakerState.CLOSED
    generation: int = 0
    until: int = 0
    reason: str = ""
    consecutive: int = 0
    lease: int = 0
    throttled: int = 0
    # Slot number -> [successes, failures].
    window: dict[int, list[int]] = field(default_factory=dict)
    thresholds: Thresholds = THRESHOLDS

    def acquire(self, now: int, lease_ms: int) -> Pass | Rejected:
        """Permission for one call, or how long to wait."""
        if self.throttled > now:
            return Rejected(self.state, "throttled", self.throttled - now)
        if self.state is BreakerState.CLOSED:
            return Pass(self.generation)
        if self.state is BreakerState.OPEN:
            if now < self.until:
                return Rejected(self.state, self.reason, self.until - now)
            self.state, self.lease = BreakerState.HALF_OPEN, 0
        if self.lease > now:
            return Rejected(self.state, "probing", self.lease - now)
        self.generation += 1
        self.lease = now + lease_ms
        return Pass(self.generation, probe=True)

    def report(self, now: int, report: BreakerReport) -> BreakerAnswer:
        """Apply the result of a call."""
        before = self.state
        if report.event is Event.THROTTLED:
            wait = min(max(report.wait_ms, 0), self.thresholds.most_throttle_ms)
            self.throttled = max(self.throttled, now + wait)
        if report.generation == self.generation:
            self._current(now, report)
        completed, failures = self.counts(now)
        return BreakerAnswer(
            before,
            self.state,
            self.generation,
            self.reason,
            failing=failures > 0 or self.consecutive > 0,
        )

    def counts(self, now: int) -> tuple[int, int]:
        """(completed, failures) of the window."""
        oldest = now // self.thresholds.bucket_ms - self.thresholds.buckets
        live = [n for slot, n in self.window.items() if slot > oldest]
        failures = sum(bucket[1] for bucket in live)
        return sum(bucket[0] for bucket in live) + failures, failures

    def _current(self, now: int, report: BreakerReport) -> None:
        if self.state is BreakerState.HALF_OPEN:
            self._probe_ended(now, report)
        elif self.state is BreakerState.CLOSED:
            self._counted(now, report)

    def _probe_ended(self, now: int, report: BreakerReport) -> None:
        if report.event is Event.OK:
            self.state, self.reason = BreakerState.CLOSED, "probe succeeded"
            self.generation += 1
            self.consecutive = 0
            self.window.clear()
        elif report.event in (Event.RELEASED, Event.THROTTLED):
            self.lease = 0
        else:
            self._open(now, report, f"probe: {report.event}")

    def _counted(self, now: int, report: BreakerReport) -> None:
        slot = now // self.thresholds.bucket_ms
        for old in [n for n in self.window if n <= slot - self.thresholds.buckets]:
            del self.window[old]
        bucket = self.window.setdefault(slot, [0, 0])
        if report.successes:
            bucket[0] += report.successes
            self.consecutive = 0
        if report.event is Event.FAILURE:
            bucket[1] += 1
            self.consecutive += 1
            self._judge(now, report)
        elif report.event in (Event.AUTH, Event.BILLING):
            self._open(now, report, str(report.event))

    def _judge(self, now: int, report: BreakerReport) -> None:
        completed, failures = self.counts(now)
        least, share = self.thresholds.least_calls, self.thresholds.share
        if self.consecutive >= self.thresholds.in_a_row:
            self._open(now, report, f"{self.consecutive} failures in a row")
        elif completed >= least and failures > completed * share:
            self._open(now, report, f"{failures} of {completed} calls failed")

    def _open(self, now: int, report: BreakerReport, reason: str) -> None:
        thresholds, billing = self.thresholds, report.event is Event.BILLING
        length = thresholds.billing_ms if billing else thresholds.open_ms
        self.state, self.reason = BreakerState.OPEN, reason
        self.until = now + int(
            length * (1 - min(max(report.jitter, 0.0), thresholds.jitter))
        )
        self.generation += 1
        self.lease = 0
