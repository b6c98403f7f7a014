"""Explains in a few sentences what became of a request, for callers and operators."""

from collections.abc import Iterator, Sequence

from billing.models import IdempotentReplay, Usage
from llm.models import Attempt
from llm.providers.base import Verdict
from valuecanvas.core.templatetags import figures

# What ended a request that was not answered: by its code, or else by its status.
CAUSES = {
    "client_gone": "The client closed its connection before the answer was complete.",
    "process_died": "The gateway's process ended while the request was under way.",
    "server_shutdown": "The gateway was shutting down.",
    "interrupted": "The answer ended early, after a part of it had been sent.",
    "abandoned": "The gateway abandoned the request before it was answered.",
}
# What the marks of a row say, where it matters to the caller.
_MARKS = {
    "unpriced": "The model had no price: a stand-in price was billed.",
    "estimated": "The provider reported no usage, so the gateway counted the tokens.",
    "capped": "Less was billed than it cost, to stay within a budget.",
}

# What the provider of a failed attempt did.
_DID: dict[str, str] = {
    Verdict.FAILURE: "failed",
    Verdict.THROTTLED: "throttled the request",
    Verdict.AUTH: "refused the gateway's key",
    Verdict.BILLING: "refused the gateway's account",
    Verdict.CLIENT: "refused the request",
    Verdict.UNUSABLE: "could not be used for it",
}


def explain_usage(row: Usage, attempts: Sequence[Attempt]) -> str:
    """How a request of the ledger was answered, or why not; never a provider's words.

    `attempts` are those that failed, in order.
    """
    answered = row.status == "ok"
    how = _answer(row, attempts) if answered else _failure(row, attempts)
    marks = [_MARKS[one] for one in row.marks if one in _MARKS]
    return " ".join([how, *_selection(row), *marks, _bill(row)])


def explain_replay(row: IdempotentReplay) -> str:
    return (
        f"Replay of request {row.original_id}: the answer to that request was stored "
        "under this Idempotency-Key, and was sent again. It cost nothing."
    )


def _answer(row: Usage, attempts: Sequence[Attempt]) -> str:
    if "coalesced" in row.marks:
        return "Answered with what an identical request under way got."
    if row.cached:
        return "Answered from the cache: no provider was called."
    after = f", after {_failed(attempts)}" if attempts else ""
    return f"Answered by {row.provider}{after}."


def _failure(row: Usage, attempts: Sequence[Attempt]) -> str:
    code = row.error_code or row.status
    why = (
        CAUSES.get(row.error_code)
        or CAUSES.get(row.status)
        or f"Not answered: the caller got the error {code}."
    )
    return f"{why} Before: {_failed(attempts)}." if attempts else why


def _failed(attempts: Sequence[Attempt]) -> str:
    """As in 'one failed (503), two throttled the request (429)'."""
    return ", ".join(
        f"{one.provider} {_DID.get(one.outcome, one.outcome)}"
        + (f" ({one.status})" if one.status else "")
        + (
            f", injected by the experiment '{one.injected_by}'"
            if one.injected_by
            else ""
        )
        for one in attempts
    )


def _selection(row: Usage) -> Iterator[str]:
    if row.prompt_key:
        variant = f", variant '{row.variant}'" if row.variant else ""
        yield f"Prompt '{row.prompt_key}' version {row.prompt_version}{variant}."


def _bill(row: Usage) -> str:
    if not row.cost_usd:
        return "It cost nothing."
    return f"It cost {figures.usd(row.cost_usd)}."
