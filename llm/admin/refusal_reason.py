"""Why a request was refused, in words for operators, and where to change it."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.urls import reverse

from billing.budget_scopes import BY_KIND, BudgetScope
from billing.models import ApiKey, Budget, Customer, Refusal
from llm.admin.answer import REMEDIES
from valuecanvas.core.errors import USD
from valuecanvas.core.templatetags import figures

# What an operator can do, by the code of the refusal. The caller's own remedy is
# in the message.
REASONS = {
    **{
        code: REMEDIES[code]
        for code in (
            "insufficient_quota",
            "budget_exceeded",
            "customer_suspended",
            "model_not_found",
            "model_unpriced",
            "no_route",
            "service_unavailable",
        )
    },
    "rate_limit_exceeded": "The client can wait, or an operator can raise the limit of "
    "the key, the customer or the tier.",
    "invalid_api_key": "The client sends the prefix of this key with another secret: "
    "issue a new key.",
    "api_key_revoked": "Issue a new key.",
    "api_key_expired": "Issue a new key, or rotate this one.",
    "missing_scope": "Issue a key with this scope.",
    "model_not_allowed": "Add the model to those that the key may use.",
    "permission_denied": "See the rights of the key.",
    "user_has_key": "The client can use that user's own key.",
    "user_has_jwt": "An operator can put the key's customer into a team.",
    "scope_frozen": "Somebody with the right can take the key over, on its page.",
    "invalid_request": "The client must change its request.",
    "unsupported_parameter": "The client must leave out this field.",
    "invalid_json": "The client must send valid JSON.",
    "request_too_large": "The client must send less, or an operator can raise "
    "LLM_MAX_BODY_BYTES.",
    "idempotency_key_in_use": "The client can try again in a second.",
    "idempotency_key_reused": "The client must use a new Idempotency-Key.",
    "idempotency_answer_not_kept": "The client must use a new Idempotency-Key.",
    "ledger_unavailable": "See the database.",
    "journal_unavailable": "Free some space on the disk of the web process.",
    "server_shutdown": "The client can try again.",
    "overloaded": "Add web processes, or raise LLM_MAX_IN_FLIGHT.",
}
# Nobody's: where the caller is unknown.
NIL = UUID(int=0)
_NAMES = {
    "requests_per_day": "requests a day",
    "requests_per_minute": "requests a minute",
    "tokens_per_minute": "tokens a minute",
    "requests_at_once": "requests at once",
}
_CLIENT = "The client must change its request: see the message."
_OURS = "The client can try again. If it fails again, see the log."


def explain(refusal: Refusal) -> str:
    """One sentence of what refused, and the remedy."""
    limit = refusing_limit(refusal)
    why = refusal.message if limit is None else f"{_describe(limit)}."
    remedy = REASONS.get(refusal.code, _CLIENT if refusal.status < 500 else _OURS)
    return " ".join([why, *_passing(refusal), remedy])


def refusing_limit(refusal: Refusal) -> dict[str, Any] | None:
    """The limit that refused, as the trace has it, if it was one."""
    return next((one for one in refusal.limits if one["refused"]), None)


def limit_title(limit: dict[str, Any]) -> str:
    """As in 'requests a day of this customer'."""
    period = limit["name"].removeprefix("budget_")
    name = _NAMES.get(limit["name"]) or f"{period} budget".replace("_", " ")
    whose = "everyone" if limit["scope"] == "global" else f"this {limit['scope']}"
    return f"{name} of {whose}"


def amount(limit: dict[str, Any], part: str) -> str:
    """`used`, `held` or `limit` in the limit's unit."""
    value = limit[part]
    if value is None:
        return "–"
    if limit["unit"] == USD:
        return figures.usd(Decimal(str(value)))
    return figures.commas(value)


def links(refusal: Refusal) -> list[tuple[str, str]]:
    """(text, URL) of what refused, and of whom."""
    found = []
    limit = refusing_limit(refusal)
    if limit is not None and limit["unit"] == USD:
        found += [_link("Budget", one) for one in _budgets(limit)]
    customer = Customer.objects.filter(pk=refusal.customer_id or NIL).first()
    if limit is not None and limit["unit"] != USD and customer is not None:
        found.append(_link("Tier", customer.tier))
    key = ApiKey.objects.filter(pk=refusal.key).first() if refusal.key else None
    if key is not None:
        found.append(_link("API key", key))
    if customer is not None:
        found.append(_link("Customer", customer))
    return found


def _describe(limit: dict[str, Any]) -> str:
    left = f"{amount(limit, 'used')} used"
    if limit["held"]:
        left += f" and {amount(limit, 'held')} held for requests under way"
    return f"The {limit_title(limit)} had {left} of {amount(limit, 'limit')}"


def _passing(refusal: Refusal) -> list[str]:
    """What would have passed."""
    found = []
    if refusal.max_tokens:
        found.append(f"A max_tokens of at most {refusal.max_tokens} would have passed.")
    if refusal.retry_at:
        found.append(f"It could pass from {refusal.retry_at:%Y-%m-%d %H:%M:%S} UTC on.")
    return found


def _budgets(limit: dict[str, Any]) -> list[Budget]:
    scope: BudgetScope = BY_KIND[limit["scope"]]
    owner = {scope.field: limit["owner"]} if scope.field else {}
    period = limit["name"].removeprefix("budget_")
    return list(Budget.objects.filter(scope=scope.kind, period=period, **owner)[:5])


def _link(what: str, row: Any) -> tuple[str, str]:
    opts = row._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk])
    return f"{what}: {row}", url
