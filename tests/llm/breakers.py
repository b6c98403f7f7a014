"""One breaker kept twice: by the machine and by the script, told the same."""

import dataclasses

import redis

from llm.breaker.board import load_script, parse_view
from llm.breaker.machine import Machine
from llm.breaker.thresholds import THRESHOLDS, Thresholds
from llm.breaker.types import (
    BreakerAnswer,
    BreakerReport,
    BreakerState,
    BreakerView,
    Event,
    Pass,
    Rejected,
)

CLOCK = """local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
"""
# A clock that the test sets: the last argument.
TEST_CLOCK = "local now = tonumber(ARGV[#ARGV])\n"
START = 1_800_000_000_000


class Twins:
    """Asks and tells both, and insists on the same answer."""

    def __init__(
        self, server: "redis.Redis", key: str, thresholds: Thresholds = THRESHOLDS
    ) -> None:
        source = load_script(thresholds).source
        assert source.count(CLOCK) == 1
        self._script = source.replace(CLOCK, TEST_CLOCK)
        self._server = server
        self._key = key
        self.machine = Machine(thresholds=thresholds)
        self.now = START

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1000)

    def acquire(self, lease_s: float = 10.0) -> Pass | Rejected:
        lease = int(lease_s * 1000)
        mine = self.machine.acquire(self.now, lease)
        reply = self._run("acquire", lease)
        theirs: Pass | Rejected
        if reply[0] == b"pass":
            theirs = Pass(reply[1], probe=bool(reply[2]))
        else:
            theirs = Rejected(
                BreakerState(reply[1].decode()), reply[2].decode(), reply[3]
            )
        assert mine == theirs
        self.look()
        return mine

    def tell(self, event: Event, generation: int | None = None, **fields: float) -> BreakerAnswer:  # fmt: skip
        """Tell what became of a call of the present generation, unless told which."""
        number = self.machine.generation if generation is None else generation
        report = dataclasses.replace(BreakerReport(event, number), **fields)
        mine = self.machine.report(self.now, report)
        before, state, gen, reason, failing = self._run(
            "tell",
            event.value,
            number,
            report.successes,
            report.wait_ms,
            report.jitter,
        )
        theirs = BreakerAnswer(
            BreakerState(before.decode()),
            BreakerState(state.decode()),
            gen,
            reason.decode(),
            bool(failing),
        )
        assert mine == theirs
        self.look()
        return mine

    def ok(self, count: int = 1) -> BreakerAnswer:
        return self.tell(Event.OK, successes=count)

    def fail(self, count: int = 1) -> BreakerAnswer:
        for _ in range(count - 1):
            self.tell(Event.FAILURE)
        return self.tell(Event.FAILURE)

    def look(self) -> BreakerView:
        completed, failures = self.machine.counts(self.now)
        mine = BreakerView(
            self.machine.state,
            self.machine.reason,
            completed,
            failures,
            max(self.machine.until - self.now, 0),
            max(self.machine.throttled - self.now, 0),
        )
        assert mine == parse_view(self._run("look"))
        return mine

    def _run(self, *arguments: object) -> list[bytes]:
        reply: list[bytes] = self._server.eval(
            self._script, 1, self._key, *arguments, self.now
        )
        return reply
