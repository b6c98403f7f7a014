"""What the minute limits are asked and what they answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from billing.auth.principal import Principal
from billing.config import TierFacts
from billing.minute_limits import MinuteLimits


class LimitKind(StrEnum):
    REQUESTS = "requests"
    TOKENS = "tokens"
    CONCURRENT = "concurrent"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom limits hold for: 'c:<customer id>' or 'k:<prefix of a key>'.

    'f:' and either of them, for their ratings.
    """

    name: str
    limits: MinuteLimits


@dataclass(frozen=True, slots=True)
class LimitLeft:
    """One limit after a request was counted; times in seconds, None: not known."""

    limit: int
    left: int
    more_s: float | None = None  # until some of it comes back
    full_s: float | None = None  # until all of it is back, if nobody asks


@dataclass(slots=True)
class Hold:
    """A request counted for one subject. What has no limit is -1 and has no meaning."""

    subject: Subject
    slot: int
    requests: int
    tokens: int
    concurrent: int
    more_ms: int
    full_ms: int
    # Counted by this process alone, while Redis did not answer.
    local: bool

    def left(self, kind: LimitKind) -> LimitLeft | None:
        """What is left of one limit; None where there is no such limit."""
        limits = self.subject.limits
        more_s, full_s = self.more_ms / 1000, self.full_ms / 1000
        if kind is LimitKind.REQUESTS and limits.requests is not None:
            return LimitLeft(limits.requests, self.requests, more_s, full_s)
        if kind is LimitKind.TOKENS and limits.tokens is not None:
            return LimitLeft(limits.tokens, self.tokens, more_s, full_s)
        if kind is LimitKind.CONCURRENT and limits.concurrent is not None:
            return LimitLeft(limits.concurrent, self.concurrent)
        return None


@dataclass(slots=True)
class MinuteUse:
    """A request counted for all its subjects; give it back when it has ended."""

    request_id: str
    tokens: int
    holds: tuple[Hold, ...] = ()
    given_back: bool = False

    def left(self, kind: LimitKind) -> LimitLeft | None:
        """The subjects' tightest limit of this kind; None where none has one."""
        return min(self._lefts(kind), key=lambda one: one.left, default=None)

    def _lefts(self, kind: LimitKind) -> Iterator[LimitLeft]:
        for hold in self.holds:
            left = hold.left(kind)
            if left is not None:
                yield left


@dataclass(frozen=True, slots=True)
class LimitRefused:
    """Nothing is counted. `retry_after_s` is None where waiting cannot help."""

    subject: Subject
    kind: LimitKind
    limit: int
    left: int
    retry_after_s: float | None


def subjects(principal: Principal, tier: TierFacts) -> tuple[Subject, ...]:
    """Those of the caller that have limits: the customer, and the key by itself."""
    customer = tier.minute
    if principal.own_limits:
        customer = principal.own_limits.over(customer)
    found = []
    if customer:
        found.append(Subject(f"c:{principal.customer_id}", customer))
    if principal.key and principal.key_limits:
        found.append(Subject(f"k:{principal.key}", principal.key_limits))
    return tuple(found)
