"""The rows that one batch of the group commit writes."""

from base64 import b64encode
from typing import Any

from billing.ledger.types import Admitted, Charge, Claimed, Stored
from valuecanvas.core import money


class Writes:
    """The rows that one batch writes, as the JSON document of sql.WRITE."""

    def __init__(self) -> None:
        self.held: list[dict[str, Any]] = []
        self.ended: list[str] = []
        self.billed: list[dict[str, Any]] = []
        # Of the counters of `scopes`; with a `reservation`, only if that ends now.
        self.moves: list[dict[str, Any]] = []
        self.claimed: list[dict[str, Any]] = []
        self.kept: list[dict[str, Any]] = []
        self.freed: list[dict[str, Any]] = []
        self.undone: list[dict[str, str]] = []
        # Claims of this batch, which are not in the database yet.
        self.taken: dict[str, Claimed] = {}

    def document(self) -> dict[str, list[Any]]:
        return {name: rows for name, rows in vars(self).items() if name != "taken"}

    def __bool__(self) -> bool:
        return bool(self.moves or self.billed)


def answer_columns(answer: Stored) -> dict[str, Any]:
    """The columns of an idempotency key's row that hold its answer."""
    return {
        "status": answer.status,
        "headers": answer.headers,
        "body": b64encode(answer.body).decode() if answer.kept else None,
    }


def usage_row(
    admitted: Admitted, facts: dict[str, Any], epoch: int, charge: Charge, cost: int
) -> dict[str, Any]:
    """The columns of the llm_usage row of a request that pays `cost` micro-dollars."""
    marks = list(charge.marks)
    if cost < charge.cost:
        marks.append("capped")
    if charge.refund:
        marks.append("refunded")
    return {
        **facts,
        "id": admitted.id,
        "customer_id": admitted.party.customer_id,
        "team": admitted.party.team,
        "key": admitted.party.key,
        "day": admitted.day,
        "epoch": epoch,
        "cost_usd": money.text(cost),
        "provider_cost_usd": money.text(charge.provider_cost),
        "saved_usd": money.text(charge.saved),
        "cached": charge.cached,
        "prompt_tokens": charge.prompt_tokens,
        "completion_tokens": charge.completion_tokens,
        "cached_tokens": charge.cached_tokens,
        "cache_write_tokens": charge.cache_write_tokens,
        "provider": charge.provider,
        "upstream_model": charge.upstream_model,
        "status": charge.status,
        "error_code": charge.error_code,
        "latency_ms": charge.latency_ms,
        "ttft_ms": charge.ttft_ms,
        "attempts": charge.attempts,
        "source": charge.source,
        "marks": "{" + ",".join(marks) + "}",
    }
