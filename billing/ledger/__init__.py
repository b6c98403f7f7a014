"""The ledger: admission and settlement of every request, by group commit."""

from billing.ledger.ledger import Ledger, commit_now
from billing.ledger.types import (
    Admit,
    Admitted,
    BudgetRefused,
    Charge,
    Limit,
    Party,
    Peek,
    QuotaRefused,
    Settle,
    Settled,
    Stale,
)

__all__ = [
    "Admit",
    "Admitted",
    "BudgetRefused",
    "Charge",
    "Ledger",
    "Limit",
    "Party",
    "Peek",
    "QuotaRefused",
    "Settle",
    "Settled",
    "Stale",
    "commit_now",
]
