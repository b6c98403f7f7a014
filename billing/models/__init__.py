"""Callers, limits and the ledger."""

from billing.models.alert import (
    AlertChannel,
    AlertEvent,
    AlertKind,
    AlertRule,
    AlertState,
    Severity,
)
from billing.models.api_key import ApiKey, Scope
from billing.models.budget import Budget
from billing.models.counter import Counter
from billing.models.customer import Customer
from billing.models.idempotency import IdempotencyKey, IdempotentReplay
from billing.models.ledger_check import LedgerCheck
from billing.models.price import Price
from billing.models.refusal import Refusal, RefusalCount, RefusalStep
from billing.models.request import Request
from billing.models.reservation import Reservation
from billing.models.team import Team
from billing.models.tier import Tier
from billing.models.usage import CorrectedRequest, Usage, UsageArchive
from billing.models.usage_hour import LateDay, RollupState, UsageHour
