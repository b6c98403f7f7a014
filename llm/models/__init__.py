"""Providers, models, routes and what happened to requests."""

from llm.models.attempt import Attempt
from llm.models.breaker import BreakerEvent, BreakerOverride
from llm.models.cache_epoch import CacheEpoch
from llm.models.feedback import Feedback
from llm.models.provider import Provider
from llm.models.route import Model, Route
from llm.models.seeded import Seeded
