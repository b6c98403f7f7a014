"""How a request ended, and what that costs."""

import time
from dataclasses import dataclass, replace

from llm.cache.entry import Entry, Form
from llm.settlement.token_count import count_tokens
from llm.types import CLIENT_GONE, Candidate, TokenUse
from llm.upstream.attempts import Attempts
from valuecanvas.core.errors import GatewayError, TooManyRequests, Unavailable
from valuecanvas.core.telemetry.redaction import redact


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """How a request ended."""

    status: str
    candidate: Candidate | None = None
    tokens: TokenUse = TokenUse()
    error_code: str = ""
    refund: bool = False
    ttft_ms: int | None = None
    # The answer of another request, delivered to this one as well: it costs nothing.
    shared: Entry | None = None
    # A provider refused the request for what it says: no error of ours or of theirs.
    callers_fault: bool = False


def refund_outcome(error: GatewayError) -> RequestOutcome:
    """The outcome of a request that no provider answered: quota and money go back."""
    return RequestOutcome(
        "error",
        # It may be a provider's own text.
        error_code=redact(error.code or error.type),
        refund=True,
        # After its admission a request gets 429 only if every provider is throttling us.
        callers_fault=error.status < 500 and error.status != TooManyRequests.status,
    )


def injected_outcome(outcome: RequestOutcome) -> RequestOutcome:
    """The outcome of an answer that a chaos experiment cut: it costs its caller nothing."""
    return replace(outcome, tokens=TokenUse(), refund=True)


def cancelled_outcome(*, client_left: bool) -> RequestOutcome:
    """The outcome of a cancelled request: of its client, or of ours."""
    if client_left:
        return RequestOutcome(CLIENT_GONE, error_code=CLIENT_GONE)
    return refund_outcome(Unavailable("The request was abandoned.", code="abandoned"))


def abandoned_outcome(attempts: Attempts, error: BaseException) -> RequestOutcome:
    """The outcome of a request that was cancelled before anything was delivered.

    If the client left after it was sent upstream, the unit and the prompt are billed,
    for that was asked for; if we gave up, both are refunded.
    """
    held = attempts.held
    client_left = attempts.sent and CLIENT_GONE in error.args
    outcome = cancelled_outcome(client_left=client_left)
    if not attempts.sending:
        return outcome
    return replace(
        outcome,
        candidate=held.plan.candidates[attempts.route],
        tokens=count_tokens(held, None, 0),
    )


def cost_of(outcome: RequestOutcome) -> int:
    """The cost of the answer at the price of its route, in micro-dollars."""
    if outcome.candidate is None:
        return 0
    used = outcome.tokens
    return outcome.candidate.rate.cost(
        used.prompt, used.completion, used.cached, used.written
    )


def entry_of(body: bytes, outcome: RequestOutcome, form: Form = Form.ANY) -> Entry:
    """The answer as the cache keeps it."""
    candidate, used = outcome.candidate, outcome.tokens
    return Entry(
        body=body,
        at=time.time(),
        provider=candidate.provider.key if candidate else "",
        upstream_model=candidate.upstream_model if candidate else "",
        cost=cost_of(outcome),
        prompt_tokens=used.prompt,
        completion_tokens=used.completion,
        cached_tokens=used.cached,
        form=form,
    )
