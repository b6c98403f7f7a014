"""The values that a request is made of on its way through the pipeline."""

import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from billing.auth.callers import Callers
from billing.auth.principal import Principal
from billing.config import Rate, TierFacts
from billing.ledger import Admitted, Claim, Limit, Stored
from billing.models import Usage
from llm.cache.directives import DEFAULT, Directives
from llm.cache.entry import Entry
from llm.configuration.model_facts import ModelFacts, ProviderFacts
from llm.limits.types import MinuteUse
from llm.metering.attachments import NOTHING as NO_ATTACHMENT
from llm.metering.attachments import Attached
from llm.metering.tokens import Counted
from llm.shared_call import SharedCall

# Says why a request's task is cancelled.
CLIENT_GONE = "client_gone"


class Parts(Protocol):
    """The parts of a streamed answer."""

    # True once the last part was given, where that is known with it.
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
    # Who calls: the Authorization header, or whom we vouch for ourselves. Asked for
    # again on each try, so that a change of the caller counts at once.
    authorization: str | None = field(default=None, repr=False)
    identify: Callable[[Callers], Awaitable[Principal]] | None = None
    # The user to be billed instead, and where the request names that one.
    on_behalf: str | None = None
    named_in: str = "user"
    # Whom the client says that it is for: a label, see billing/auth/act_as.py.
    user: str = ""
    directives: Directives = DEFAULT
    # What the client tells of itself, for flags and experiments.
    context: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    # The way it came in, where several lead to the endpoint: each has its own keys.
    channel: str = ""
    trace_id: str = ""
    # Bytes of the body as it came.
    size: int = 0
    # How many calls it followed that broke off.
    leaders_lost: int = 0
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the body asks for, in numbers."""

    model: str
    stream: bool
    include_usage: bool
    choices: int
    asked_output: int | None
    # A high estimate, for the minute limits.
    prompt_tokens: int
    # Of all that may become prompt, without what is attached to it.
    prompt_bytes: int
    # Tokens that no count of the prompt can pass, without what is attached to it.
    prompt_most: int
    pictures: int = 0
    attached: Attached = NO_ATTACHMENT
    # By a tokenizer, where bounds by bytes were too coarse.
    counted: Counted | None = None
    # Of the prompt what is in tokens already.
    token_ids: int = 0
    # Output tokens that a prediction by the client may cost, besides the answer.
    predicted: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route that may serve the request, with its price."""

    provider: ProviderFacts
    upstream_model: str
    rate: Rate
    unpriced: bool
    forced: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What prompts and flags made of a request, as its ledger row tells it."""

    prompt_key: str = ""
    prompt_version: int | None = None
    # The experiment's or rollout's name, and the arm.
    variant: str = ""
    # A digest of whom the variant was drawn for.
    subject: int | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)
    # The prompt's own say on stored answers; '' leaves the scope to the model.
    cache_policy: str = "auto"
    cache_scope: str = ""
    # The parts of the gateway that an operator's flag has switched off.
    off: frozenset[str] = frozenset()
    # The fields of the body that a version or a flag set, not the client.
    operator_fields: frozenset[str] = frozenset()
    # Models that could not answer: who named them ('flag', 'experiment'), and which.
    passed_over: tuple[tuple[str, str], ...] = ()


NOTHING = Selection()


@dataclass(frozen=True, slots=True)
class Plan:
    """How the request will be served, all from one snapshot."""

    epoch: int
    # The request as it is to be answered: with the words of its prompt.
    body: dict[str, Any]
    chosen: Selection
    principal: Principal
    tier: TierFacts
    model: ModelFacts
    shape: Shape
    max_output: int
    candidates: tuple[Candidate, ...]
    estimate: int
    limits: tuple[Limit, ...]
    upgrade: TierFacts | None
    # How often the answers of everyone, this model, customer and prompt were forgotten.
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
    # What others with the same request wait for; this one leads it.
    shared_call: SharedCall | None = None
    # What it counts for in the minute limits, until it has ended.
    minute_use: MinuteUse | None = None


@dataclass(frozen=True, slots=True)
class CacheHit:
    """An answer that needs no provider: a stored one, admitted and settled at once."""

    call: Call
    plan: Plan
    admitted: Admitted
    entry: Entry
    minute_use: MinuteUse | None = None


@dataclass(frozen=True, slots=True)
class FollowingCall:
    """A request whose answer another one is fetching; it holds quota, but no money."""

    held: AdmittedCall
    shared_call: SharedCall


@dataclass(frozen=True, slots=True)
class ReplayedCall:
    """The answer that an earlier request with the same idempotency key got."""

    request_id: str
    stored: Stored
    # Its row in the ledger.
    bill: Usage | None = None


@dataclass(frozen=True, slots=True)
class TokenUse:
    """What was used; `marks` say where the count is ours and not the provider's."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    source: str = "provider"
    marks: tuple[str, ...] = ()
    # (prompt, completion) as the provider counts, where that is more than is billed.
    claimed: tuple[int, int] | None = None
    # Of the prompt what the provider wrote to its cache.
    written: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """One upstream attempt that was not delivered."""

    provider: str
    upstream_model: str
    verdict: str
    status: int | None
    message: str
    # What the provider said itself, without secrets: for the caller, kept nowhere.
    words: str
    latency_ms: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    summary: "Summary"


@dataclass(frozen=True, slots=True)
class StreamReply:
    """An answer in parts. Closing `parts` early means that the client has gone."""

    headers: Mapping[str, str]
    parts: Parts


@dataclass(frozen=True, slots=True)
class Summary:
    """What an answered request came to, for doors that do not speak HTTP."""

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
