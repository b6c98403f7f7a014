"""The configuration as one immutable value, replaced whole when the epoch moves."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from billing import config as billing_config
from billing.config import Rate, TierFacts
from billing.ledger import Limit
from flags import config as flags_config
from flags.engine.evaluation import FlagSet, flag_set
from llm.configuration import model_facts
from llm.configuration.model_facts import (
    ModelFacts,
    OverrideFacts,
    ProviderFacts,
    RouteFacts,
)
from prompts import config as prompts_config
from prompts.rendering.render import PromptLibrary
from valuecanvas.core.db import epoch
from valuecanvas.core.db.epoch import ConfigChange

Load = Callable[[Iterable[str] | None], Mapping[str, Any]]

# Kind of change -> the function that loads its rows. Callers has customers and keys.
SECTIONS: dict[str, Load] = {
    "tier": billing_config.load_tiers,
    "budget": billing_config.load_budgets,
    "price": billing_config.load_prices,
    "provider": model_facts.load_providers,
    "model": model_facts.load_models,
    "route": model_facts.load_routes,
    "breaker_override": model_facts.load_overrides,
    "cache_epoch": model_facts.load_cache_epochs,
    "prompt": prompts_config.load_prompts,
    "experiment": prompts_config.load_experiments,
    "flag": flags_config.load_flags,
}
# Past this many changes a full load is cheaper than a list of keys.
MANY_CHANGES = 500


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All configuration at one epoch. The mappings are never changed in place."""

    epoch: int
    sections: Mapping[str, Mapping[str, Any]]
    tiers: Mapping[str, TierFacts]
    limits: Mapping[str, tuple[Limit, ...]]
    rates: Mapping[tuple[str, str], tuple[Rate, ...]]
    providers: Mapping[str, ProviderFacts]
    models: Mapping[str, ModelFacts]
    routes: Mapping[str, tuple[RouteFacts, ...]]
    overrides: tuple[OverrideFacts, ...]
    cache_epochs: Mapping[str, int]
    prompt_library: PromptLibrary
    flags: FlagSet

    def rate(self, provider: str, model: str, at: dt.datetime) -> Rate | None:
        """The price in force at `at`; None: the model has no price."""
        for rate in self.rates.get((provider, model), ()):
            if rate.effective_from <= at:
                return rate
        return None

    def override(
        self, provider: str, model: str, at: dt.datetime
    ) -> OverrideFacts | None:
        """The operator's last override of this breaker, if it is still in force."""
        found = None
        for one in self.overrides:
            if (
                one.provider == provider
                and one.upstream_model in ("", model)
                and one.expires_at > at
            ):
                found = one
        return found


def build(at_epoch: int, sections: Mapping[str, Mapping[str, Any]]) -> Snapshot:
    """The snapshot of `sections`, with what is derived from them."""
    return Snapshot(
        epoch=at_epoch,
        sections=sections,
        tiers=sections["tier"],
        limits=billing_config.limits_by_scope(sections["budget"]),
        rates=billing_config.rates_by_model(sections["price"]),
        providers=sections["provider"],
        models=sections["model"],
        routes=model_facts.routes_by_model(sections["route"], sections["provider"]),
        cache_epochs=sections["cache_epoch"],
        prompt_library=PromptLibrary(
            prompts_config.prompts_by_key(sections["prompt"]),
            prompts_config.experiments_by_prompt(sections["experiment"]),
        ),
        flags=flag_set(at_epoch, sections["flag"]),
        overrides=tuple(
            one
            for _, one in sorted(
                sections["breaker_override"].items(), key=lambda item: int(item[0])
            )
        ),
    )


def load(before: Snapshot | None = None) -> tuple[Snapshot, list[ConfigChange] | None]:
    """The committed configuration, and what changed since `before`; None: unknown.

    Only changed rows are read. Everything comes from one database snapshot.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if before is None:
            return _everything(), None
        try:
            now, changes = epoch.changes_since(before.epoch)
        except epoch.ChangesPurged:
            return _everything(), None
        if now == before.epoch:
            return before, []
        return build(now, _updated(before.sections, changes)), changes


def _everything() -> Snapshot:
    return build(epoch.current(), {kind: read(None) for kind, read in SECTIONS.items()})


def _updated(
    sections: Mapping[str, Mapping[str, Any]], changes: list[ConfigChange]
) -> dict[str, Mapping[str, Any]]:
    updated = dict(sections)
    for kind, read in SECTIONS.items():
        keys = {change.key for change in changes if change.kind == kind}
        if len(keys) > MANY_CHANGES:
            updated[kind] = read(None)
        elif keys:
            kept = {k: v for k, v in sections[kind].items() if k not in keys}
            updated[kind] = {**kept, **read(keys)}
    return updated
