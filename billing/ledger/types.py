"""The items of the group commit and their answers. Money is in micro-dollars."""

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any

from billing.budget_scopes import CUSTOMER, GLOBAL, KEY, MODEL, TAG, TEAM


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget: `spent + reserved` of the scope in the period never passes `micros`.

    `scope` is a scope name of `Party.scopes`; `period` one of budget_periods.Period.
    """

    scope: str
    period: str
    micros: int
    # Of fixed dates: the first and the last day.
    starts: dt.date | None = None
    ends: dt.date | None = None
    # More money, until a time.
    increase: int = 0
    increase_until: dt.datetime | None = None
    # Since when the money of one period is there in the next one too; None: it is not.
    rollover_since: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """Whose counters a request changes.

    `tags` is None for a request that is not counted by model and tag: it was admitted by
    a version that did not.
    """

    customer_id: uuid.UUID
    team: str = ""
    key: str = ""
    model: str = ""
    tags: tuple[str, ...] | None = None

    # The scope names; the customer's, which carries the quota, comes first.
    scopes: tuple[str, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        names = [f"{CUSTOMER}{self.customer_id}", GLOBAL]
        if self.team:
            names.append(f"{TEAM}{self.team}")
        if self.key:
            names.append(f"{KEY}{self.key}")
        if self.tags is not None:
            names.append(f"{MODEL}{self.model}")
            names.extend(f"{TAG}{tag}" for tag in self.tags)
        object.__setattr__(self, "scopes", tuple(names))


@dataclass(frozen=True, slots=True)
class Claim:
    """An Idempotency-Key, as a digest of its scope, and the digest of the body."""

    id: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer for an idempotency key; not `kept` if its body was too large."""

    status: int
    headers: dict[str, str]
    body: bytes
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Claimed:
    """An idempotency key in use; `done` once its request was answered."""

    fingerprint: str
    request_id: str
    done: bool


@dataclass(frozen=True, slots=True)
class Admit:
    """Reserve one unit of quota and `estimate` before anything is sent upstream."""

    id: uuid.UUID
    party: Party
    quota: int
    limits: tuple[Limit, ...]
    estimate: int
    epoch: int
    lease_s: float
    facts: dict[str, Any]
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Ask whether quota or a budget would refuse an `Admit` now; takes nothing.

    The answer is None where none would, and where the epoch is not current.
    """

    party: Party
    quota: int
    limits: tuple[Limit, ...]
    estimate: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Note:
    """Write the row of a request whose reservation was given back before it failed.

    The charge is a refund: it moves no counter. Nothing, where there is a row already.
    """

    admitted: "Admitted"
    facts: dict[str, Any]
    epoch: int
    charge: "Charge"


@dataclass(frozen=True, slots=True)
class Hit:
    """Admit and settle in one: an answer that costs nothing, but a unit of quota.

    Not even that where the charge is a `refund`.
    """

    id: uuid.UUID
    party: Party
    quota: int
    epoch: int
    facts: dict[str, Any]
    charge: "Charge"
    claim: Claim | None = None
    answer: Stored | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """Quota and money are held; `at` is the database's clock."""

    id: uuid.UUID
    party: Party
    day: dt.date
    at: dt.datetime
    estimate: int
    used: int
    quota: int
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Stale:
    """The configuration has moved on to `epoch`: resolve again."""

    epoch: int


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """Where a budget stood. The money of `limit` is that of its period at that time."""

    limit: Limit
    spent: int
    reserved: int


@dataclass(frozen=True, slots=True)
class QuotaRefused:
    used: int
    quota: int
    at: dt.datetime
    # All budgets that were looked at.
    budgets: tuple[LimitStanding, ...] = ()


@dataclass(frozen=True, slots=True)
class BudgetRefused:
    """`limit` has the money of its period: with an increase, and from the one before."""

    limit: Limit
    spent: int
    reserved: int
    at: dt.datetime
    # Of the day's quota, which was not used up.
    used: int = 0
    quota: int = 0
    # All budgets that were looked at.
    budgets: tuple[LimitStanding, ...] = ()


@dataclass(frozen=True, slots=True)
class Replay:
    """The key was used before by the same request, which was answered."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Busy:
    """The first request with this key is still under way."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was used before, with another body."""


@dataclass(frozen=True, slots=True)
class Charge:
    """The charge of a request: the columns of its llm_usage row that vary."""

    cost: int = 0
    provider_cost: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    provider: str = ""
    upstream_model: str = ""
    status: str = "ok"
    error_code: str = ""
    latency_ms: int = 0
    ttft_ms: int | None = None
    attempts: int = 0
    source: str = "provider"
    marks: tuple[str, ...] = ()
    refund: bool = False
    cached: bool = False
    saved: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Settle:
    """End a reservation: delete it, add the ledger row, move reserved to spent.

    With `charge` None the request never began: no ledger row, everything is refunded.
    """

    admitted: Admitted
    facts: dict[str, Any]
    epoch: int
    charge: Charge | None
    claim: Claim | None = None
    # Stored under the claim; without it the claim is released.
    answer: Stored | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """`first` is False if the reservation had been settled before."""

    first: bool
    cost: int


@dataclass(frozen=True, slots=True)
class Peek:
    """Ask for the committed epoch."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask whether a write would succeed; the answer is the committed epoch."""


@dataclass(frozen=True, slots=True)
class Unhit:
    """Refund the quota unit of a hit that may or may not have been committed."""

    # The id of the correction.
    id: uuid.UUID
    hit: Hit
    day: dt.date


Item = Admit | Hit | Settle | Unhit | Peek | Probe | Check | Note
Refusal = QuotaRefused | BudgetRefused
Admission = Admitted | Stale | QuotaRefused | BudgetRefused | Replay | Busy | Mismatch
Answer = Admission | Settled | int | None


@dataclass(slots=True)
class LockedCounter:
    """A locked counter row, with the changes of this batch."""

    used: int = 0
    spent: int = 0
    reserved: int = 0


@dataclass(slots=True)
class Books:
    """The input of a batch's decisions: locked counters, sums and claims."""

    epoch: int
    at: dt.datetime
    rows: dict[str, LockedCounter] = field(default_factory=dict)
    # Scope and first day -> spent + reserved from then until yesterday.
    history: dict[tuple[str, dt.date], int] = field(default_factory=dict)
    # Idempotency keys in use, by claim id.
    claims: dict[str, Claimed] = field(default_factory=dict)

    @property
    def today(self) -> dt.date:
        return self.at.date()

    def row(self, scope: str, day: dt.date) -> LockedCounter:
        return self.rows.setdefault(f"{scope}:{day}", LockedCounter())
