"""Where requests can go, and what happened there."""

from .attempt import Attempt
from .breaker import BreakerEvent, BreakerOverride
from .provider import Provider
from .route import Model, Route
from .seeded import Seeded

__all__ = [
    "Attempt",
    "BreakerEvent",
    "BreakerOverride",
    "Model",
    "Provider",
    "Route",
    "Seeded",
]
