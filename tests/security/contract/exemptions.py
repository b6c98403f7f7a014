"""Findings of schemathesis that are right as they are, each with the reason.

A row names a check, operations, and what the answer blames: its `param`, without numbers,
and its message. Whatever else a check finds is a failure.
"""

import re
from dataclasses import dataclass

POSITIVE, NEGATIVE = "positive_data_acceptance", "negative_data_rejection"
MODELS = "POST (/v1/(chat/completions|embeddings|responses)|/api/llm/(complete|jobs|batches))"
FLAG = "(POST|PATCH) /api/flags.*"


@dataclass(frozen=True, slots=True)
class Exemption:
    """Where a check does not apply. Each pattern matches a whole text."""

    check: str
    operation: str
    blamed: str
    reason: str

    def covers(self, check: str, operation: str, blamed: str) -> bool:
        return check == self.check and bool(
            re.fullmatch(self.operation, operation)
            and re.fullmatch(self.blamed, blamed, re.DOTALL)
        )


TABLE = (
    # What no schema says: another row, the clock, another field.
    Exemption(POSITIVE, "POST /v1/files", "expires_after: .*", "both, or neither"),
    Exemption(POSITIVE, ".*", "(cursor|after): .*", "a token from an earlier page"),
    Exemption(POSITIVE, ".*", ".*more than 64 bits.*", "JSON has no largest number"),
    Exemption(POSITIVE, ".*", ".*nested more than.*", "JSON has no greatest depth"),
    Exemption(POSITIVE, ".*", "(owner|users|groups|tiers?): .*", "names other rows"),
    Exemption(POSITIVE, ".*", "(name|key): .*exists.*", "the name is taken"),
    Exemption(POSITIVE, ".*", "Idempotency-Key: 422 .*", "the key was used before"),
    Exemption(
        POSITIVE, ".*", "(at|deadline|start|runAt): .*", "is before or after now"
    ),
    Exemption(POSITIVE, ".*", "callbackUrl: .*", "operators allow addresses"),
    Exemption(
        POSITIVE,
        ".*/api/usage/.*",
        "(from|to|group_by|top|bucket|compare|latency): .*",
        "fits another parameter",
    ),
    Exemption(
        POSITIVE, "GET /api/prompts/{key}/metrics", "since: .*", "92 days at most"
    ),
    Exemption(POSITIVE, "GET .*/fetch", "prompt.label: .*", "excludes the version"),
    Exemption(POSITIVE, "GET .*/diff", "(from|to): .*", "names a version"),
    Exemption(
        POSITIVE, "GET /api/llm/jobs", "type: .*", "types are registered in code"
    ),
    Exemption(
        POSITIVE,
        FLAG,
        "(variants|rules|prerequisites|default_variant|off_variant|target_variant|percent|payload|to|step|every_minutes|name|event|kind|tags|purpose): .*",
        "fits the flag's kind, variants and state",
    ),
    Exemption(POSITIVE, FLAG, ": 400 .*", "fits the flag's kind, variants and state"),
    Exemption(
        POSITIVE,
        "POST /ofrep/.*",
        ": 400 .*TARGETING_KEY_MISSING.*",
        "whether a flag wants a targeting key is its rules'",
    ),
    Exemption(
        POSITIVE,
        "POST .*/versions",
        "(template|messages|variables|parameters|based_on|model)?: .*",
        "fits the prompt's kind and its other versions",
    ),
    Exemption(
        POSITIVE,
        "POST .*/(rollback|rollouts.*|rollout/.*|compile)",
        "(version|label|share|steps|variables|context|user|to|reason|state|rollout)?: .*",
        "fits the prompt's versions and its rollout",
    ),
    Exemption(
        POSITIVE,
        "PUT .*/labels/{name}",
        "(label|name|version): .*",
        "some labels are reserved",
    ),
    # What a model takes is its provider's to say, as with OpenAI's own SDKs.
    Exemption(
        POSITIVE,
        MODELS,
        ".*: 400 .*",
        "what a model takes",
    ),
    Exemption(NEGATIVE, MODELS, ": 20[02] .*", "fields are sent on as they are"),
    # Leniency that is meant.
    Exemption(
        NEGATIVE,
        "GET /api/prompts/{key}/metrics",
        ": 200 .*",
        "ISO 8601 without seconds or a zone is taken, and an empty value as none",
    ),
    Exemption(
        POSITIVE, "GET .*/fetch", "x-valuecanvas-context: .*", "is JSON in a header"
    ),
    Exemption(
        "missing_required_header",
        "GET .*/fetch",
        "x-valuecanvas-context: .*",
        "headers are read before the key is",
    ),
)


def is_exempt(check: str, operation: str, blamed: str) -> bool:
    return any(one.covers(check, operation, blamed) for one in TABLE)
