"""Callers, limits and the ledger."""

from .api_key import ApiKey, Scope
from .budget import Budget
from .counter import Counter
from .customer import Customer
from .price import Price
from .reservation import Reservation
from .team import Team
from .tier import Tier
from .usage import Usage

__all__ = [
    "ApiKey",
    "Budget",
    "Counter",
    "Customer",
    "Price",
    "Reservation",
    "Scope",
    "Team",
    "Tier",
    "Usage",
]
