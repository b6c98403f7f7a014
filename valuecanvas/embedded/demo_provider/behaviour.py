"""The demo provider's behaviour: a model's name says how it answers."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a model answers; the defaults are a normal answer at once."""

    delay: float = 0.0  # seconds before the first byte
    pause: float = 0.0  # seconds between two chunks
    status: int | None = None  # the error in place of the answer


_SLOW = re.compile(r"(slow|drip)@(\d+(?:\.\d+)?)(ms|s)")
_STATUS = re.compile(r"status-([45]\d\d)")


def find_behaviour(model: str) -> Behaviour:
    """The behaviour of `model`: `slow@2s`, `drip@50ms`, `status-503`; or normal."""
    if match := _STATUS.fullmatch(model):
        return Behaviour(status=int(match[1]))
    if match := _SLOW.fullmatch(model):
        seconds = float(match[2]) / (1000 if match[3] == "ms" else 1)
        slow = match[1] == "slow"
        return Behaviour(delay=seconds) if slow else Behaviour(pause=seconds)
    return Behaviour()
