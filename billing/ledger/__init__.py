"""The ledger: admission and settlement of every request, by group commit."""

from billing.ledger.ledger import UNFIT, Ledger, commit_now
from billing.ledger.types import (
    Admission,
    Admit,
    Admitted,
    BudgetRefused,
    Busy,
    Charge,
    Check,
    Claim,
    Hit,
    Limit,
    LimitStanding,
    Mismatch,
    Note,
    Party,
    Peek,
    Probe,
    QuotaRefused,
    Refusal,
    Replay,
    Settle,
    Settled,
    Stale,
    Stored,
)
