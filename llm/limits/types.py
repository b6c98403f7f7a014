"""The values that minute limits take and return."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from billing.auth.principal import Principal
from billing.budget_scopes import CUSTOMER, KEY
from billing.config import TierFacts
from billing.minute_limits import MinuteLimits


class LimitKind(StrEnum):
    REQUESTS = "requests"
    TOKENS = "tokens"
    CONCURRENT = "concurrent"


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of limits: 'c:<customer id>' or 'k:<prefix of a key>'.

    With 'f:' before it, the limits are for its ratings; with 'j:', for its calls about
    jobs, batches and files.
    """

    name: str
    limits: MinuteLimits


@dataclass(frozen=True, slots=True)
class LimitLeft:
    """What is left of one limit; times in seconds, None: unknown."""

    limit: int
    left: int
    more_s: float | None = None  # until some is free again
    full_s: float | None = None  # until all is free again, without requests


@dataclass(slots=True)
class Hold:
    """A request counted for one subject. Values without a limit are -1."""

    subject: Subject
    slot: int
    requests: int
    tokens: int
    concurrent: int
    more_ms: int
    full_ms: int
    # Counted by this process alone, while Redis did not answer.
    local: bool

    def remaining(self, kind: LimitKind) -> LimitLeft | None:
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

    def remaining(self, kind: LimitKind) -> LimitLeft | None:
        """The subjects' tightest limit of this kind; None where none has one."""
        return min(self._lefts(kind), key=lambda one: one.left, default=None)

    def _lefts(self, kind: LimitKind) -> Iterator[LimitLeft]:
        for hold in self.holds:
            left = hold.remaining(kind)
            if left is not None:
                yield left


@dataclass(frozen=True, slots=True)
class LimitRefused:
    """A refusal; nothing was counted. `retry_after_s` None: waiting cannot help.

    `others` are the answers for the other subjects of the request.
    """

    subject: Subject
    kind: LimitKind
    limit: int
    left: int
    retry_after_s: float | None
    others: tuple["Hold | LimitRefused", ...] = ()


def subjects(
    principal: Principal, tier: TierFacts, share: float = 1.0
) -> tuple[Subject, ...]:
    """The caller's subjects that have limits: the customer, and the key.

    With a `share` below 1 the rest of each limit is left for other requests.
    """
    customer = tier.minute
    if principal.own_limits:
        customer = principal.own_limits.fill_from(customer)
    found = []
    if customer:
        found.append(Subject(f"{CUSTOMER}{principal.customer_id}", customer))
    if principal.key and principal.key_limits:
        found.append(Subject(f"{KEY}{principal.key}", principal.key_limits))
    if share < 1:
        found = [replace(one, limits=one.limits.shared(share)) for one in found]
    return tuple(found)
