"""The parameters of each kind of fault, and the check of what is entered for them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm.models.chaos import FaultKind

# A provider's own failures. Any other status would make us ask it about our key.
STATUSES = (500, 502, 503, 504, *range(520, 530))
LONGEST_WAIT_MS = 300_000
MALFORMED_FORMS = ("not_json", "truncated", "wrong_shape", "html", "compressed")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a fault. `kind` is 'integer', 'choice' or 'text'."""

    name: str
    label: str
    help: str
    kind: str
    default: Any
    low: int | None = None
    high: int | None = None
    choices: tuple[Any, ...] = ()

    def check(self, value: Any) -> str:
        """What is wrong with `value`, with the remedy; empty: nothing."""
        if self.kind == "text":
            return "" if isinstance(value, str) else f"{self.label}: enter a text."
        if self.kind == "choice":
            known = type(value) in (str, int) and value in self.choices
            named = ", ".join(str(one) for one in self.choices)
            return "" if known else f"{self.label}: choose one of {named}."
        whole = type(value) is int or (type(value) is float and value.is_integer())
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if whole and low <= value <= high:
            return ""
        return f"{self.label}: enter a whole number from {self.low:,} to {self.high:,}."


_DELAY = (
    Parameter(
        "shape", "Distribution",
        "fixed: always the delay. uniform: the delay, more or less by up to the spread "
        "(jitter). normal: around the delay, the spread is its standard deviation. "
        "exponential: the delay on average, with rare long ones.",
        "choice", "fixed", choices=("fixed", "uniform", "normal", "exponential"),
    ),
    Parameter("delay_ms", "Delay", "In milliseconds.", "integer", 1_000, 0, LONGEST_WAIT_MS),
    Parameter("spread_ms", "Spread", "In milliseconds; of uniform and normal.", "integer", 0, 0, LONGEST_WAIT_MS),
    Parameter("most_ms", "Longest delay", "In milliseconds: no call waits longer.", "integer", 30_000, 1, LONGEST_WAIT_MS),
)  # fmt: skip

PARAMETERS: Mapping[str, tuple[Parameter, ...]] = {
    FaultKind.LATENCY: _DELAY,
    FaultKind.ERROR: (
        Parameter("status", "Status", "What the provider seems to answer.", "choice", 503, choices=STATUSES),
    ),
    FaultKind.TIMEOUT: (),
    FaultKind.RATE_LIMIT: (
        Parameter("retry_after_s", "Retry-After", "In seconds.", "integer", 5, 1, 3_600),
    ),
    FaultKind.MALFORMED: (
        Parameter("form", "Form", "What the provider seems to send instead of its answer.", "choice", "not_json", choices=MALFORMED_FORMS),
    ),
    FaultKind.CUT: (
        Parameter("unit", "Unit", "What is counted before the answer breaks off. A whole answer is always cut by bytes.", "choice", "events", choices=("events", "bytes")),
        Parameter("after", "After", "So many events with content, or bytes, are passed on.", "integer", 3, 0, 1_000_000),
    ),
    FaultKind.STORE_SLOW: (
        Parameter("delay_ms", "Delay", "Of each command, in milliseconds.", "integer", 200, 1, 10_000),
    ),
    FaultKind.STORE_DOWN: (),
    FaultKind.DATABASE_RESTART: (),
    FaultKind.WORKER_EXIT: (
        Parameter("worker", "Worker", "Name it as under Workers: HOST:PID.", "text", ""),
    ),
}  # fmt: skip


def check_parameters(fault: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the parameters of a fault, by name; empty: nothing.

    One that is missing has its default.
    """
    known = {one.name: one for one in PARAMETERS.get(fault, ())}
    if fault not in PARAMETERS:
        return {"fault": f"There is no fault '{fault}'."}
    found = {
        name: f"'{name}' is no parameter of this fault: remove it."
        for name in parameters
        if name not in known
    }
    for name, one in known.items():
        if name in parameters and (wrong := one.check(parameters[name])):
            found[name] = wrong
    return found


def fill_parameters(fault: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a fault, with the defaults of those that are missing."""
    return {
        one.name: parameters.get(one.name, one.default) for one in PARAMETERS[fault]
    }
