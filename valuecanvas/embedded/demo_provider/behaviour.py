"""The demo provider's behaviour: a model's name says how it answers."""

import re
from dataclasses import dataclass
from hashlib import blake2b
from math import exp, log
from statistics import NormalDist

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a model answers; the defaults are a normal answer at once."""

    delay: float = 0.0  # seconds before the first byte
    pause: float = 0.0  # seconds between two chunks
    status: int | None = None  # the error in place of the answer
    # The delay that 95 % of the requests stay below; `delay` is then the median.
    p95: float | None = None

    def delay_of(self, body: bytes) -> float:
        """The delay of a request: by a log-normal distribution, the same for the same body."""
        if self.p95 is None:
            return self.delay
        number = int.from_bytes(blake2b(body, digest_size=4).digest())
        deviations = _NORMAL.inv_cdf((number + 0.5) / 2**32)
        spread = log(self.p95 / self.delay) / _NORMAL.inv_cdf(0.95)
        return self.delay * exp(spread * deviations)


_TIME = r"(\d+(?:\.\d+)?)(ms|s)"
_SLOW = re.compile(rf"(slow|drip)@{_TIME}")
_LIKE = re.compile(rf"like@{_TIME}:{_TIME}")
_STATUS = re.compile(r"status-([45]\d\d)")


def find_behaviour(model: str) -> Behaviour:
    """The behaviour of `model`: `slow@2s`, `drip@50ms`, `like@300ms:1.5s`, `status-503`;
    or normal.
    """
    if match := _STATUS.fullmatch(model):
        return Behaviour(status=int(match[1]))
    if match := _LIKE.fullmatch(model):
        p50, p95 = _seconds(match[1], match[2]), _seconds(match[3], match[4])
        return Behaviour(delay=p50, p95=p95) if 0 < p50 <= p95 else Behaviour()
    if match := _SLOW.fullmatch(model):
        seconds = _seconds(match[2], match[3])
        slow = match[1] == "slow"
        return Behaviour(delay=seconds) if slow else Behaviour(pause=seconds)
    return Behaviour()


def _seconds(number: str, unit: str) -> float:
    return float(number) / (1000 if unit == "ms" else 1)
