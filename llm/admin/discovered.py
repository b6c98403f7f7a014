"""Adds discovered models as models and routes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from billing.pricing import prices
from llm.models import Model, Provider, Route
from llm.setup import catalogue


@dataclass(slots=True)
class Added:
    """The created rows, and the names that were refused."""

    models: list[Model] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def already_routed(provider: Provider) -> set[str]:
    """The provider's own names of models that have a route."""
    return set(provider.routes.values_list("upstream_model", flat=True))


def add_models(
    provider: Provider,
    names: list[str],
    contexts: Mapping[str, int | None] = MappingProxyType({}),
) -> Added:
    """Create a model for each new name, and a route of the lowest priority.

    `contexts`: the context lengths that the provider lists.
    """
    added = Added()
    for name in dict.fromkeys(names):
        try:
            with transaction.atomic():
                _add(provider, name, added, contexts.get(name))
        except ValidationError:
            added.refused.append(name[:80])
    return added


def _add(provider: Provider, name: str, added: Added, context: int | None) -> None:
    model = Model.objects.filter(pk=name).first()
    new = model is None
    if model is None:
        source = catalogue.price_source(provider.kind, provider.key)
        known = context or prices.package_context(source, name)
        model = Model(name=name, kind=_kind(name), context_tokens=known)
        model.full_clean()
        model.save(force_insert=True)
    last = model.routes.aggregate(last=Max("priority"))["last"] or 0
    route = Route(
        model=model, provider=provider, upstream_model=name, priority=last + 1
    )
    route.full_clean()
    route.save(force_insert=True)
    added.routes.append(route)
    if new:
        added.models.append(model)


def _kind(name: str) -> str:
    return Model.Kind.EMBEDDING if "embed" in name.lower() else Model.Kind.CHAT
