"""What drills expect of the gateway, as docs/OPERATIONS.md promises it."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from django.conf import settings

from flags.builtin_flags import FALLBACK
from llm.chaos.drills.drill import Evidence, Expectation, Judgement
from llm.chaos.drills.drill_traffic import DrillAnswer

# Seconds beyond the time that a breaker stays open, for the probe and for polling.
SLACK_S = 20.0
# A refusal of a model whose breakers are all open, in milliseconds.
REFUSED_MS = 20.0
RECONNECT_S = 15.0


def describe_faults(answers: Sequence[DrillAnswer]) -> str:
    """How many requests failed, and how."""
    counts = Counter(one.fault for one in answers if one.fault)
    found = ", ".join(f"{count} x {what}" for what, count in counts.most_common(3))
    failed = sum(counts.values())
    return f"{failed} of {len(answers)} failed: {found}." if failed else (
        f"All {len(answers)} were answered."
    )  # fmt: skip


def _all_answered(evidence: Evidence) -> Judgement:
    answers = evidence.during
    return all(one.ok for one in answers), describe_faults(answers)


def _fallback_answered(evidence: Evidence) -> Judgement:
    holds, seen = _all_answered(evidence)
    first = sum(one.provider == evidence.primary for one in evidence.during if one.ok)
    if first:
        seen += f" {first} came from '{evidence.primary}', which was to be down."
    if evidence.fallback_off:
        seen += (
            f" The operational flag '{FALLBACK}' is off, so no other provider is tried:"
            " switch it on under Flags."
        )
    return holds and not first, seen


def _breaker_opened(evidence: Evidence) -> Judgement:
    tried, sent = evidence.tried_first, len(evidence.during)
    seen = f"{tried} of {sent} requests tried '{evidence.primary}', the rest did not."
    return 0 < tried < sent, seen


def _recovered(evidence: Evidence) -> Judgement:
    took, most = evidence.recovery_s, settings.BREAKER_OPEN_S + SLACK_S
    if took is None:
        return False, f"'{evidence.primary}' did not answer within {most:.0f} s."
    return took <= most, f"'{evidence.primary}' answered again after {took:.1f} s."


def _billed_once(evidence: Evidence) -> Judgement:
    seen = f"{evidence.answered} answers, {evidence.billed} billed rows in the ledger"
    seen += ", failed requests cost something." if evidence.failed_cost else "."
    return evidence.billed == evidence.answered and not evidence.failed_cost, seen


def _quota_kept(evidence: Evidence) -> Judgement:
    seen = f"{evidence.answered} answers took {evidence.quota_used} of the day's quota."
    return evidence.quota_used == evidence.answered, seen


def _refused_as_told(evidence: Evidence) -> Judgement:
    refused = [one for one in evidence.during if not one.ok]
    told = [one for one in refused if one.status == 503 and one.retry_after]
    answered = len(evidence.during) - len(refused)
    seen = f"{answered} answered, {len(told)} refused with 503 and Retry-After"
    others = len(refused) - len(told)
    seen += f", {others} otherwise: {describe_faults(refused)}" if others else "."
    return not others, seen


def _none_answered(evidence: Evidence) -> Judgement:
    """Those that fail before the breakers are open get the providers' failure, 502."""
    first = sum(one.status == 502 for one in evidence.during)
    later = [one for one in evidence.during if one.status != 502]
    told = sum(one.status == 503 and bool(one.retry_after) for one in later)
    holds = first <= settings.BREAKER_FAILURES_IN_A_ROW and told == len(later) > 0
    return holds, f"{describe_faults(evidence.during)} {told} had Retry-After."


def _refused_fast(evidence: Evidence) -> Judgement:
    """The later half: by then the breakers are open."""
    late = [one.ms for one in evidence.during[len(evidence.during) // 2 :]]
    if not late:
        return False, "No request was sent."
    return median(late) <= REFUSED_MS, f"Half of them within {median(late):.1f} ms."


def _redis_bypassed(evidence: Evidence) -> Judgement:
    seen = f"/health/ready said of Redis: '{evidence.redis}', then '{evidence.redis_after}'."
    return (evidence.redis, evidence.redis_after) == ("passed by", "ok"), seen


def _no_longer(evidence: Evidence) -> Judgement:
    """Late requests: the first ones wait for Redis until it is bypassed."""
    usual = median(one.ms for one in evidence.before)
    late = median(one.ms for one in evidence.during[len(evidence.during) // 2 :])
    most = usual * 2 + settings.REDIS_TIMEOUT_MS
    seen = f"Half of them within {late:.0f} ms, before the fault {usual:.0f} ms."
    return late <= most, seen


def _answers_again(evidence: Evidence) -> Judgement:
    took = evidence.recovery_s
    if took is None:
        return False, "Requests were not answered any more."
    return took <= RECONNECT_S, f"Requests were answered {took:.1f} s after the fault."


def _no_drift(evidence: Evidence) -> Judgement:
    seen = "The ledger disagrees." if evidence.drift else "All invariants hold."
    return not evidence.drift, seen


def _injected(evidence: Evidence) -> Judgement:
    return evidence.injected > 0, f"It was injected {evidence.injected} times."


def _jobs_lost(evidence: Evidence) -> Judgement:
    if not evidence.jobs_lost:
        return False, "It had none: nothing was tested. Ask a slower model."
    return True, f"{evidence.jobs_lost} jobs lost their worker."


def _jobs_done(evidence: Evidence) -> Judgement:
    states = Counter(evidence.jobs.values())
    done, count = states["succeeded"], len(evidence.jobs)
    others = ", ".join(
        f"{n} {name}" for name, n in states.items() if name != "succeeded"
    )
    return done == count > 0, f"{done} of {count} succeeded. {others}".strip()


def _jobs_billed(evidence: Evidence) -> Judgement:
    bills = [evidence.job_bills.get(one, 0) for one in evidence.jobs]
    seen = f"{sum(bills)} charges for {len(bills)} jobs, {max(bills, default=0)} at most for one."
    return bool(bills) and all(one == 1 for one in bills), seen


INJECTED = Expectation("The fault took place.", _injected)
ALL_ANSWERED = Expectation("Every request is answered.", _all_answered)
FALLBACK_ANSWERS = Expectation(
    "Every request is answered, by another provider.", _fallback_answered
)
BREAKER_OPENS = Expectation(
    "The breaker opens: later requests do not try the provider.", _breaker_opened
)
RECOVERS = Expectation(
    "The provider is used again once its breaker's time is over.", _recovered
)
BILLED_ONCE = Expectation(
    "Each answer is billed once, and failures cost nothing.", _billed_once
)
QUOTA_KEPT = Expectation(
    "Answers take one unit of the day's quota each; failures give theirs back.",
    _quota_kept,
)
ALL_REFUSED = Expectation(
    "No request is answered: 502 until the breakers are open, then 503 with Retry-After.",
    _none_answered,
)
REFUSED_FAST = Expectation(
    f"Once the breakers are open, refusals take {REFUSED_MS:.0f} ms at most.",
    _refused_fast,
)
REDIS_BYPASSED = Expectation(
    "Redis is passed by, limits are counted by each process alone, readiness says so, "
    "and later it is used again.",
    _redis_bypassed,
)
NOT_SLOWER = Expectation("Answers hardly take longer.", _no_longer)
ANSWERED_OR_REFUSED = Expectation(
    "Each request is answered whole, streams too, or refused with 503 and Retry-After.",
    _refused_as_told,
)
ANSWERS_AGAIN = Expectation(
    f"Requests are answered again within {RECONNECT_S:.0f} s.", _answers_again
)
NO_DRIFT = Expectation("Afterwards the ledger agrees with itself.", _no_drift)
JOBS_LOST = Expectation("The killed worker had jobs under way.", _jobs_lost)
JOBS_DONE = Expectation(
    "Every job is done, also those of the killed worker.", _jobs_done
)
JOBS_BILLED = Expectation("Each job is charged once.", _jobs_billed)
