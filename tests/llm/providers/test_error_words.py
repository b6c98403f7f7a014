"""What a refusal means: the provider's own words first, its status next."""

from typing import Any

import pytest

from llm.providers.base import Verdict
from llm.providers.error_words import classify, is_certain
from llm.providers.registry import KINDS

AUTH, BILLING, CLIENT = Verdict.AUTH, Verdict.BILLING, Verdict.CLIENT
FAILURE, THROTTLED, UNUSABLE = Verdict.FAILURE, Verdict.THROTTLED, Verdict.UNUSABLE


def said(text: str) -> dict[str, Any]:
    return {"message": text}


def typed(kind: str, code: Any = None) -> dict[str, Any]:
    return {"type": kind, "code": code}


KEY = typed("invalid_request_error", "invalid_api_key")
ROWS: list[tuple[int, dict[str, Any], Verdict]] = [
    # Keys: a 401 is doubtful, a 403 only where it speaks of the key.
    (401, {}, AUTH),
    (401, KEY, AUTH),
    (401, said("Missing scopes: model.request"), UNUSABLE),
    (400, {"status": "INVALID_ARGUMENT", "reason": "API_KEY_INVALID"}, AUTH),
    (403, {}, CLIENT),
    (403, said("The prompt was flagged."), CLIENT),
    (403, said("<html>Blocked by our firewall"), CLIENT),
    (403, typed("moderation_error", "flagged_input"), CLIENT),
    (403, typed("permission_error"), CLIENT),
    (403, KEY, AUTH),
    (403, said("Invalid API key"), AUTH),
    (403, said("Your API key has expired."), AUTH),
    # Money.
    (402, {}, BILLING),
    (402, said("Insufficient Balance"), BILLING),
    (402, said("Requires more credits, or fewer max_tokens."), UNUSABLE),
    (429, typed("insufficient_quota", "insufficient_quota"), BILLING),
    (429, typed("exceeded_current_quota_error"), BILLING),
    (400, typed("", "Arrearage"), BILLING),
    (403, typed("billing_error"), BILLING),
    # Too much: for now, or for this one request.
    (429, {}, THROTTLED),
    (429, typed("tokens", "rate_limit_exceeded"), THROTTLED),
    (429, said("Request too large for m on tokens per min"), UNUSABLE),
    (413, typed("tokens", "rate_limit_exceeded"), CLIENT),
    # What is at fault is the request, whatever the status.
    (404, typed("NotFoundError", 404), CLIENT),
    (451, {}, CLIENT),
    (500, typed("BadRequestError"), CLIENT),
    (500, typed("invalid_request_error", "context_length_exceeded"), CLIENT),
    (500, typed("server_error") | said("image input is not supported"), UNUSABLE),
    (501, typed("not_supported_error"), UNUSABLE),
    (408, {}, UNUSABLE),
    (500, typed("server_error"), FAILURE),
    (500, typed("invalid_request_error", "server_error"), FAILURE),
    (503, typed("invalid_request_error"), FAILURE),
    (529, typed("overloaded_error"), FAILURE),
    # In an answer of status 200.
    (200, {}, FAILURE),
    (200, said("invalid prompt"), FAILURE),
    (200, typed("invalid_request_error", "context_length_exceeded"), CLIENT),
    (200, typed("invalid_request_error"), CLIENT),
    (200, typed("BadRequestError"), CLIENT),
    (200, typed("", "content_filter"), CLIENT),
    (200, typed("", "data_inspection_failed"), CLIENT),
    (200, {"status": "INVALID_ARGUMENT"}, CLIENT),
    (200, typed("invalid_request_error", "rate_limit_exceeded"), THROTTLED),
    (200, {"status": "RESOURCE_EXHAUSTED"}, THROTTLED),
    (200, typed("overloaded_error"), FAILURE),
    (200, typed("", "internal_server_error"), FAILURE),
    (200, typed("authentication_error"), AUTH),
    (200, typed("", "insufficient_quota"), BILLING),
    (200, {"code": 7, "type": ["x"]}, FAILURE),
]


@pytest.mark.parametrize(("status", "error", "verdict"), ROWS)
def test_classify__refusal__goes_by_words_then_status(
    status: int, error: dict[str, Any], verdict: Verdict
) -> None:
    assert classify(status, error) is verdict


@pytest.mark.parametrize("kind", KINDS)
def test_classify__403_about_the_prompt__is_the_callers_everywhere(kind: str) -> None:
    assert KINDS[kind].classify(403, {}) is CLIENT


@pytest.mark.parametrize(
    ("verdict", "status", "error", "certain"),
    [
        (AUTH, 401, {}, False),
        (AUTH, 401, said("No."), False),
        (AUTH, 401, KEY, True),
        (AUTH, 401, said("Incorrect API key provided."), True),
        (BILLING, 402, {}, False),
        (BILLING, 402, said("Payment Required"), True),
        (BILLING, 402, said("Insufficient Balance"), True),
        (BILLING, 429, typed("", "insufficient_quota"), True),
        (BILLING, 200, said("Insufficient Balance"), False),
    ],
)
def test_is_certain__status_alone__is_not(
    verdict: Verdict, status: int, error: dict[str, Any], certain: bool
) -> None:
    assert is_certain(verdict, status, error) is certain
