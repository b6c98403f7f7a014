"""The gateway's part of the configuration snapshot: providers, models, routes."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llm.models import BreakerOverride, CacheEpoch, Model, Provider, Route
from llm.providers.base import ProviderKind
from llm.providers.registry import KINDS
from valuecanvas.core import crypto

Keys = Iterable[str] | None


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """Where to send and how. The key stays out of every repr."""

    key: str
    kind: ProviderKind
    base_url: str
    api_key: str = field(repr=False)
    enabled: bool
    # Where the key is read again when it is refused; '' if nowhere.
    key_reference: str = ""
    # Fields for routing that clients may send to it.
    extra_fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A public model name, with its limits in tokens and seconds."""

    name: str
    kind: str
    enabled: bool
    max_output_tokens: int
    # Of prompt and answer together; None: not known.
    context_tokens: int | None
    cache_policy: str
    cache_scope: str
    first_token_s: float
    between_tokens_s: float
    total_stream_s: float
    total_s: float
    created: int
    # Empty: it does not say, so all is sent on.
    takes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RouteFacts:
    id: str
    model: str
    provider: str
    upstream_model: str
    priority: int
    weight: int


@dataclass(frozen=True, slots=True)
class OverrideFacts:
    provider: str
    upstream_model: str
    state: str
    reason: str
    expires_at: dt.datetime


def _open_key(row: Provider) -> str:
    try:
        return row.open_key()
    except crypto.UnreadableSecret:
        # Its calls then fail as `auth`, which the provider's page explains.
        return ""


def load_providers(keys: Keys = None) -> dict[str, ProviderFacts]:
    rows = Provider.objects.among(keys)
    return {
        row.key: ProviderFacts(
            row.key, KINDS[row.kind], row.base_url.rstrip("/"), _open_key(row), row.enabled,
            row.api_key_ref, frozenset(row.extra_fields),
        )
        for row in rows
    }  # fmt: skip


def load_models(keys: Keys = None) -> dict[str, ModelFacts]:
    rows = Model.objects.among(keys)
    return {
        row.name: ModelFacts(
            row.name,
            row.kind,
            row.enabled,
            row.max_output_tokens,
            row.context_tokens,
            row.cache_policy,
            row.cache_scope,
            row.first_token_s,
            row.between_tokens_s,
            row.total_stream_s,
            row.total_s,
            int(row.created_at.timestamp()),
            frozenset(row.takes),
        )
        for row in rows
    }


def load_routes(keys: Keys = None) -> dict[str, RouteFacts]:
    rows = Route.objects.among(keys).filter(enabled=True)
    return {
        str(row.pk): RouteFacts(
            str(row.pk), row.model_id, row.provider_id, row.upstream_model,
            row.priority, row.weight,
        )
        for row in rows
    }  # fmt: skip


def load_overrides(keys: Keys = None) -> dict[str, OverrideFacts]:
    rows = BreakerOverride.objects.among(keys).order_by("created_at")
    return {
        str(row.pk): OverrideFacts(
            row.provider_id, row.upstream_model, row.state, row.reason, row.expires_at
        )
        for row in rows
    }


def load_cache_epochs(keys: Keys = None) -> dict[str, int]:
    return dict(CacheEpoch.objects.among(keys).values_list("target", "value"))


def routes_by_model(
    routes: Mapping[str, RouteFacts], providers: Mapping[str, ProviderFacts]
) -> dict[str, tuple[RouteFacts, ...]]:
    """Each model's usable routes, by priority."""
    found: dict[str, list[RouteFacts]] = {}
    for route in routes.values():
        provider = providers.get(route.provider)
        if provider is not None and provider.enabled:
            found.setdefault(route.model, []).append(route)
    return {
        model: tuple(sorted(some, key=lambda route: (route.priority, route.id)))
        for model, some in found.items()
    }
