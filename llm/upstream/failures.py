"""Notes an attempt that failed: for its row, the metrics and the caller's error."""

import datetime as dt
import time

from llm.metrics import ATTEMPTS
from llm.providers.base import Verdict
from llm.settlement.token_count import count_tokens
from llm.types import Candidate, Failure
from llm.upstream.attempts import Attempts
from llm.upstream.client_errors import words
from llm.upstream.http import Failed

# So much of a provider's message is shown when all routes failed, in characters.
MOST_WORDS = 200
# Its messages about our key and account are not for callers.
OURS = (Verdict.AUTH, Verdict.BILLING)
# In metrics, instead of the verdict on a failure that a chaos experiment made.
INJECTED = "injected"


def note_failure(attempts: Attempts, candidate: Candidate, failure: Failed) -> None:
    """Note a failure of the attempt under way, and who made it fail."""
    failure.blame(attempts.experiment(timed_out=failure.timeout and not failure.unsent))
    cost = 0
    if failure.injected_by and attempts.sending:
        # The provider did its work, and an experiment took the answer away.
        used = count_tokens(attempts.held, None, failure.received)
        cost = candidate.rate.cost(used.prompt, used.completion)
    attempts.sending = False
    attempts.timed_out = failure.timeout
    if failure.verdict is Verdict.THROTTLED:
        attempts.note_retry(int(failure.retry_after_s * 1000))
    add_failure(attempts, candidate, failure, cost)


def add_failure(
    attempts: Attempts, candidate: Candidate, failure: Failed, provider_cost: int
) -> None:
    """Add a failure that cost us `provider_cost` micro-dollars."""
    verdict = failure.verdict.value
    counted = INJECTED if failure.injected_by else verdict
    ATTEMPTS.labels(candidate.provider.key, counted).inc()
    attempts.failures.append(
        Failure(
            candidate.provider.key,
            candidate.upstream_model,
            verdict,
            failure.status,
            failure.message,
            "" if failure.verdict in OURS else words(failure.error or {}, MOST_WORDS),
            int((time.monotonic() - attempts.started_at) * 1000),
            dt.datetime.now(dt.UTC),
            failure.injected_by,
            provider_cost,
        )
    )
