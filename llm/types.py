"""The values that the steps of the pipeline pass to each other."""

import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from billing.auth.callers import Callers
from billing.auth.principal import Principal
from billing.config import Rate, TierFacts
from billing.ledger import Admitted, Claim, Limit, Party, Stored
from billing.models import Usage
from llm.cache.directives import DEFAULT, Directives
from llm.cache.entry import Entry
from llm.configuration.model_facts import ModelFacts, ProviderFacts
from llm.limits.types import MinuteUse
from llm.metering.attachments import NOTHING as NO_ATTACHMENT
from llm.metering.attachments import Attached
from llm.metering.tokens import Counted
from llm.shared_call import SharedCall

# The argument of a cancellation: the client has left.
CLIENT_GONE = "client_gone"


class Parts(Protocol):
    """The parts of a streamed answer."""

    # True once the last part was returned, if that is known then.
    over: bool

    @property
    def deadline(self) -> float:
        """When the answer must have been delivered, by the monotonic clock."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def wait_until_unwanted(self) -> None: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came in, parsed and checked for shape only."""

    id: uuid.UUID
    endpoint: str
    body: dict[str, Any]
    # The caller: the Authorization header, or a function that finds it. Looked up again
    # on each try, so that a change of the caller counts at once.
    authorization: str | None = field(default=None, repr=False)
    identify: Callable[[Callers], Awaitable[Principal]] | None = None
    # The user to bill instead, and where the request names that user.
    on_behalf: str | None = None
    named_in: str = "user"
    # The client's label for its user, see billing/auth/act_as.py.
    user: str = ""
    directives: Directives = DEFAULT
    # The tags that the request names, for budgets and reports.
    tags: tuple[str, ...] = ()
    # The attributes that the client sends for flags and experiments.
    context: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    # The API that was called, if an endpoint has several: each has its own idempotency keys.
    channel: str = ""
    trace_id: str = ""
    # The job that makes it. If its worker dies, the job is run again, and pays once.
    job: str = ""
    # The most that it takes of its caller's minute limits, as a share of 1.
    share: float = 1.0
    # Bytes of the body as received.
    size: int = 0
    # How many calls that it followed broke off.
    leaders_lost: int = 0
    # It was admitted as a follower of such a call, and starts again.
    restarted: bool = False
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes and options that the body asks for."""

    model: str
    stream: bool
    include_usage: bool
    choices: int
    asked_output: int | None
    # A high estimate, for the minute limits.
    prompt_tokens: int
    # Bytes of all that may become prompt, without attachments.
    prompt_bytes: int
    # The most tokens that the prompt can have, without attachments.
    prompt_most: int
    pictures: int = 0
    attached: Attached = NO_ATTACHMENT
    # A tokenizer's count, if bounds by bytes were too coarse.
    counted: Counted | None = None
    # Tokens of the prompt that are sent as token ids.
    token_ids: int = 0
    # Output tokens that the client's prediction may cost, besides the answer.
    predicted: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route that may serve the request, with its price."""

    provider: ProviderFacts
    upstream_model: str
    rate: Rate
    unpriced: bool
    forced: str
    # Of its breaker; '' for the one that all share.
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """What prompts and flags selected for a request, as its ledger row has it."""

    prompt_key: str = ""
    prompt_version: int | None = None
    # The experiment's or rollout's name, and the arm.
    variant: str = ""
    # A digest of the subject that the variant was drawn for.
    subject: int | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)
    # The prompt's policy for stored answers; '' leaves the scope to the model.
    cache_policy: str = "auto"
    cache_scope: str = ""
    # The parts of the gateway that an operator's flag has switched off.
    off: frozenset[str] = frozenset()
    # The fields of the body that a version or a flag set, not the client.
    preset: frozenset[str] = frozenset()
    # Models that could not answer: (what named it: 'flag' or 'experiment', the model).
    passed_over: tuple[tuple[str, str], ...] = ()


NOTHING = Selection()


@dataclass(frozen=True, slots=True)
class Plan:
    """How the request will be served, all from one snapshot."""

    epoch: int
    # The request to answer, with the text of its prompt.
    body: dict[str, Any]
    chosen: Selection
    principal: Principal
    tier: TierFacts
    model: ModelFacts
    # Whose counters it moves.
    party: Party
    shape: Shape
    max_output: int
    candidates: tuple[Candidate, ...]
    estimate: int
    limits: tuple[Limit, ...]
    upgrade: TierFacts | None
    # The cache epochs of everyone, this model, customer and prompt.
    cache_epochs: tuple[int, int, int, int]

    @property
    def longest_s(self) -> float:
        """Seconds that the whole answer may take."""
        model = self.model
        return model.total_stream_s if self.shape.stream else model.total_s


@dataclass(frozen=True, slots=True)
class CachePlace:
    """Where an answer would be stored."""

    key: str
    tenant: str


@dataclass(frozen=True, slots=True)
class AdmittedCall:
    """An admitted request: quota and money are reserved."""

    call: Call
    plan: Plan
    admitted: Admitted
    claim: Claim | None = None
    # Where the answer will be stored; None: nowhere.
    place: CachePlace | None = None
    # The call that others with the same request follow; this one leads it.
    shared_call: SharedCall | None = None
    # What it takes of the minute limits, until it has ended.
    minute_use: MinuteUse | None = None


@dataclass(frozen=True, slots=True)
class CacheHit:
    """A stored answer: admitted and settled at once, without a provider."""

    call: Call
    plan: Plan
    admitted: Admitted
    entry: Entry
    minute_use: MinuteUse | None = None


@dataclass(frozen=True, slots=True)
class FollowingCall:
    """A request that follows another one's call; it holds quota, but no money."""

    held: AdmittedCall
    shared_call: SharedCall


@dataclass(frozen=True, slots=True)
class ReplayedCall:
    """The answer to an earlier request with the same idempotency key."""

    request_id: str
    stored: Stored
    # Its row in the ledger.
    bill: Usage | None = None


@dataclass(frozen=True, slots=True)
class TokenUse:
    """The tokens used; `marks` say if the count is ours and not the provider's."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    source: str = "provider"
    marks: tuple[str, ...] = ()
    # (prompt, completion) as the provider counts, where that is more than is billed.
    claimed: tuple[int, int] | None = None
    # Tokens of the prompt that the provider wrote to its cache.
    written: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """One upstream attempt that was not delivered."""

    provider: str
    upstream_model: str
    verdict: str
    status: int | None
    message: str
    # The provider's message without secrets: for the caller, stored nowhere.
    words: str
    latency_ms: int
    at: dt.datetime
    # The chaos experiment that made it fail.
    injected_by: str = ""
    # What it cost us all the same, in micro-dollars.
    provider_cost: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    summary: "Summary"


@dataclass(frozen=True, slots=True)
class StreamReply:
    """A streamed answer. Closing `parts` early means that the client left."""

    headers: Mapping[str, str]
    parts: Parts


@dataclass(frozen=True, slots=True)
class Summary:
    """The bill and timing of an answered request, for callers from Python."""

    request_id: str
    provider: str
    model: str
    upstream_model: str
    cost: int
    cached: bool
    tokens: TokenUse
    latency_ms: int
    ttft_ms: int | None
    attempts: int
    epoch: int
