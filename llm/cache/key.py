"""The cache key: an HMAC over all that the provider would see, and the tenant."""

import hashlib
import hmac

import orjson

from billing.budget_scopes import CUSTOMER, GLOBAL, TEAM
from llm.cache.secret import secret
from llm.types import Plan

# Raise it when the meaning of a stored value changes: older ones are then misses.
SCHEMA = 4
# Fields that change how an answer is delivered, but not its content.
LEFT_OUT = frozenset({"stream", "stream_options", "user", "metadata", "store"})


def tenant(plan: Plan) -> str:
    """The tenant that may use the answer: the customer, if no operator widened it."""
    principal = plan.principal
    scope = plan.chosen.cache_scope or plan.model.cache_scope
    if scope == "global":
        return GLOBAL
    if scope == "team" and principal.team:
        return f"{TEAM}{principal.team}"
    return f"{CUSTOMER}{principal.customer_id}"


def digest(endpoint: str, plan: Plan) -> str:
    """The full digest, in hex."""
    body = plan.body
    # A Response repeats its request, and is stored in the form in which it came.
    if endpoint != "responses":
        body = {name: value for name, value in body.items() if name not in LEFT_OUT}
        # The cap that is sent decides, whatever its field is called.
        body.pop("max_tokens", None)
        body.pop("max_completion_tokens", None)
    canonical = orjson.dumps(
        [
            SCHEMA,
            tenant(plan),
            endpoint,
            plan.model.name,
            [plan.chosen.prompt_key, plan.chosen.prompt_version],
            plan.cache_epochs,
            plan.max_output,
            body,
        ],
        option=orjson.OPT_SORT_KEYS,
    )
    return hmac.new(secret(), canonical, hashlib.sha256).hexdigest()
