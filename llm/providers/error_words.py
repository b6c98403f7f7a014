"""Classifies a refusal by the provider's error code first, then by its status."""

import re
from collections.abc import Callable
from typing import Any

from llm.providers.base import Verdict

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_GAP = re.compile(r"[\s.\-/]+")
# Words of a code or type; the first row that fits decides.
_RULES = (
    (
        Verdict.AUTH,
        r"(?:invalid|incorrect|wrong|missing|expired|revoked|disabled|bad|no)_api_?key"
        r"|api_?key_(?:invalid|incorrect|expired|revoked|disabled|missing|not_|error)"
        r"|(?:invalid|expired|missing)_(?:access_|auth_|bearer_)?(?:token|credentials?)$"
        r"|^auth(?:entication)?(?:_|$)|invalid_auth|unauthori[sz]ed|unauthenticated"
        r"|account_(?:deactivated|disabled|suspended|inactive)|access_terminated",
    ),
    (
        Verdict.BILLING,
        r"insufficient_(?:user_)?(?:quota|balance|credits?|funds)|billing|arrearage"
        r"|payment_required|credit_balance|exceed(?:ed)?_current_quota"
        r"|budget_exceeded|exceeded_budget",
    ),
    (
        Verdict.THROTTLED,
        r"rate_?limit|too_many_requests|throttl|resource_exhausted|quota_exceeded"
        r"|concurren|slow_down|^(?:tokens|requests)(?:_per_\w+)?$",
    ),
    (
        Verdict.FAILURE,
        r"server|internal|overload|unavailable|time_?d?_?out|upstream|bad_gateway"
        r"|aborted|cancel|deadline|provider",
    ),
    (
        Verdict.CLIENT,
        r"invalid|bad_?request|unprocessable|validation|malformed|content|moderation"
        r"|safety|flagged|sensitive|inspection|policy|prohibited|blocked|context|length"
        r"|too_(?:long|large|many)|above_max|max_tokens|not_?support|unsupported"
        r"|unimplemented|not_?found|out_of_range|failed_precondition|refus|prompt"
        r"|forbidden|permission|user_error|client_error|input",
    ),
)
RULES = tuple((verdict, re.compile(words)) for verdict, words in _RULES)
# Words in a message that confirm a status about a key or money.
_KEY = re.compile(
    r"(?:invalid|incorrect|wrong|missing|expired|revoked|disabled|bad|no) "
    r"(?:api[ _-]?)?(?:key|token|credentials?)|key\b.{0,30}\b(?:invalid|not valid"
    r"|incorrect|expired|revoked|disabled)|unauthori[sz]ed",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"(?:insufficient|exceeded|exhausted|out of|no|low|negative)\b.{0,30}"
    r"\b(?:balance|credits?|funds|quota|money)|payment required|spending limit",
    re.IGNORECASE,
)
# The account has money for a smaller answer.
_SMALLER = re.compile(r"fewer|max_tokens|afford", re.IGNORECASE)
# The key is valid, but not for this request.
_RIGHT = re.compile(r"scope|permission|not allowed|does not have access", re.IGNORECASE)
# One request is larger than a whole minute's allowance.
_LARGE = re.compile(
    r"request (?:is )?too large|must be reduced|reduce (?:your|the)", re.IGNORECASE
)
_LACKS = re.compile(r"not support|unsupported|not implemented", re.IGNORECASE)


def read_words(error: dict[str, Any]) -> Verdict | None:
    """The verdict by the error's own fields: its code, then its type."""
    for name in ("code", "type", "reason", "status"):
        value = error.get(name)
        if not isinstance(value, str):
            continue
        word = _GAP.sub("_", _HUMP.sub("_", value[:200])).lower()
        for verdict, words in RULES:
            if words.search(word):
                return verdict
    return None


def classify(status: int, error: dict[str, Any]) -> Verdict:
    """The verdict on a refusal; status 200 means an error inside an answer."""
    by_code, message = read_words(error), str(error.get("message", ""))[:2_000]
    if by_code is Verdict.BILLING:
        return by_code
    if (read := _BY_STATUS.get(status)) is not None:
        return read(by_code, message)
    if 400 <= status < 500:
        return Verdict.AUTH if by_code is Verdict.AUTH else Verdict.CLIENT
    return Verdict.FAILURE


def is_certain(verdict: Verdict, status: int | None, error: dict[str, Any]) -> bool:
    """Whether the error's own words confirm `verdict`, not only its status."""
    if read_words(error) is verdict:
        return True
    words = {401: _KEY, 403: _KEY, 402: _MONEY}.get(status or 0)
    return words is not None and bool(words.search(str(error.get("message", ""))))


def _bad_key(by_code: Verdict | None, message: str) -> Verdict:
    return Verdict.UNUSABLE if _RIGHT.search(message) else Verdict.AUTH


def _no_money(by_code: Verdict | None, message: str) -> Verdict:
    return Verdict.UNUSABLE if _SMALLER.search(message) else Verdict.BILLING


def _forbidden(by_code: Verdict | None, message: str) -> Verdict:
    key = by_code is Verdict.AUTH or _KEY.search(message)
    return Verdict.AUTH if key else Verdict.CLIENT


def _too_many(by_code: Verdict | None, message: str) -> Verdict:
    return Verdict.UNUSABLE if _LARGE.search(message) else Verdict.THROTTLED


def _broken(by_code: Verdict | None, message: str) -> Verdict:
    """Some answer 500 for a bad request, or for a feature that they lack."""
    if by_code in (None, Verdict.FAILURE) and _LACKS.search(message):
        return Verdict.UNUSABLE
    return by_code or Verdict.FAILURE


def _unusable(by_code: Verdict | None, message: str) -> Verdict:
    return Verdict.UNUSABLE


_BY_STATUS: dict[int, Callable[[Verdict | None, str], Verdict]] = {
    200: lambda by_code, message: by_code or Verdict.FAILURE,
    401: _bad_key,
    402: _no_money,
    403: _forbidden,
    408: _unusable,
    429: _too_many,
    500: _broken,
    501: _unusable,
}
