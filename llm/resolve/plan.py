"""Plans a request: routes, price and limits, from one snapshot."""

import datetime as dt
import random
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from django.conf import settings

from billing.auth.principal import Principal
from billing.budget_scopes import ORDER
from billing.config import Rate, TierFacts
from billing.ledger import Limit, Party
from llm.configuration.model_facts import ModelFacts, RouteFacts
from llm.configuration.snapshot import Snapshot
from llm.limits.types import subjects
from llm.metering import tokens
from llm.request import model_needs, tags
from llm.resolve import plan_checks
from llm.types import NOTHING, Candidate, Plan, Selection, Shape
from valuecanvas.core import money
from valuecanvas.core.errors import (
    InvalidRequest,
    NotFound,
    NotPermitted,
    Unavailable,
)
from valuecanvas.core.parameters import CAPS

# The flag `gateway.fallback` off: the first route only.
FALLBACK = "fallback"
# Tokens of an answer, if the prompt seems to fill the model's context.
LEAST_OUTPUT = 256
KIND_OF = {"chat": "chat", "responses": "chat", "embeddings": "embedding"}


def resolve(
    endpoint: str,
    shape: Shape,
    principal: Principal,
    snapshot: Snapshot,
    *,
    body: dict[str, Any],
    chosen: Selection = NOTHING,
    named_tags: tuple[str, ...] = (),
) -> Plan:
    """The plan to serve `body`, with its `shape`, for `principal`.

    Raises NotPermitted, NotFound, InvalidRequest, Unavailable.
    """
    _may_call(principal, shape.model)
    tier = snapshot.tiers.get(principal.tier)
    if tier is None:
        raise NotPermitted("This customer's tier no longer exists.", code="no_tier")
    model = _model(endpoint, shape, snapshot)
    max_output = 0
    if endpoint != "embeddings":
        asked = shape.asked_output
        most = _max_output(model, tier, shape)
        max_output = most if asked is None else min(asked, most)
    if shape.asked_output is not None and max_output < shape.asked_output:
        body = {**body, **{name: max_output for name in CAPS if body.get(name)}}
    routes = _routes(model, snapshot, chosen.off)
    try:
        routes = model_needs.filter_able_routes(
            model, routes, snapshot.models, endpoint, body
        )
    except InvalidRequest as error:
        plan_checks.blame(error, chosen.preset)
    candidates = _candidates(model, routes, snapshot, chosen.off)
    party = _party(principal, model.name, tags.tags_of(principal, named_tags))
    return Plan(
        epoch=snapshot.epoch,
        body=body,
        chosen=chosen,
        principal=principal,
        tier=tier,
        model=model,
        party=party,
        shape=shape,
        max_output=max_output,
        candidates=candidates,
        estimate=highest_cost(candidates, shape, max_output),
        limits=_limits(party, snapshot),
        upgrade=snapshot.tiers.get(tier.upgrade_to or ""),
        cache_epochs=_cache_epochs(model.name, principal, chosen, snapshot),
    )


def highest_cost(candidates: Sequence[Candidate], shape: Shape, max_output: int) -> int:
    """The most that a request may cost on any route, in micro-dollars."""
    output = max_output * shape.choices + shape.predicted
    return max(one.rate.most(most_prompt(shape, one), output) for one in candidates)


def prompt_within(plan: Plan, micros: int) -> int:
    """The tokens of prompt that `micros` pay for, without an answer."""
    rate = max(one.rate.dearest_input for one in plan.candidates)
    return micros * money.MICROS // max(1, rate)


def output_within(plan: Plan, micros: int) -> int:
    """The largest output cap that `micros` pay for; 0: none."""
    shape = plan.shape
    if plan.max_output == 0:
        return 0
    caps = (
        (micros * money.MICROS - most_prompt(shape, one) * one.rate.dearest_input)
        // max(1, one.rate.output)
        - shape.predicted
        for one in plan.candidates
    )
    return min(plan.max_output, max(0, min(caps) // shape.choices))


def most_prompt(shape: Shape, candidate: Candidate) -> int:
    """The most tokens that the provider can count in the prompt."""
    model, attached = candidate.upstream_model, shape.attached
    most = shape.prompt_most
    if shape.counted is not None:
        by_bytes = shape.prompt_bytes
        most += min(by_bytes, shape.counted.most(model)) - by_bytes
    if shape.pictures or attached.data:
        most += shape.pictures * tokens.picture(model).most
        most += attached.sound_most + attached.pages * tokens.page(model).most
    return most


def exceeded_limit(plan: Plan) -> int:
    """The limit in tokens that the request may pass by its estimate; 0: none.

    The limit is the model's context or a minute limit. An exact count of the prompt
    helps then.
    """
    shape = plan.shape
    if shape.counted is not None or plan.model.kind == "embedding":
        return 0
    asked = shape.asked_output or plan.tier.max_output_tokens
    wanted = min(asked, plan.tier.max_output_tokens, plan.model.max_output_tokens)
    need = shape.prompt_tokens + wanted * shape.choices
    bounds = [one.limits.tokens for one in subjects(plan.principal, plan.tier)]
    bounds.append(plan.model.context_tokens)
    return max((one for one in bounds if one and one < need), default=0)


def may_use(principal: Principal, model: str) -> bool:
    """Whether the key's list of models allows this one."""
    return not principal.allowed_models or model in principal.allowed_models


def _may_call(principal: Principal, model: str) -> None:
    if "llm" not in principal.scopes:
        raise NotPermitted("This key may not call models: it lacks the scope 'llm'.")
    if not may_use(principal, model):
        raise NotPermitted(
            f"This key may not use the model '{model}'.",
            param="model",
            code="model_not_allowed",
        )


def _model(endpoint: str, shape: Shape, snapshot: Snapshot) -> ModelFacts:
    model = snapshot.models.get(shape.model)
    if model is None or not model.enabled:
        raise NotFound(
            f"The model '{shape.model[:200]}' does not exist. GET /v1/models lists "
            "what this key may use.",
            param="model",
            code="model_not_found",
        )
    if model.kind != KIND_OF[endpoint]:
        raise InvalidRequest(
            f"The model '{model.name}' does not serve this endpoint.",
            param="model",
            code="wrong_endpoint",
        )
    return model


def _max_output(model: ModelFacts, tier: TierFacts, shape: Shape) -> int:
    """The most output that may be asked for, also by what is left of the context."""
    most = min(tier.max_output_tokens, model.max_output_tokens)
    if model.context_tokens:
        left = model.context_tokens - shape.prompt_tokens
        # It is only an estimate: the provider knows whether anything is left.
        most = min(most, max(left, LEAST_OUTPUT))
    return most


def _routes(
    model: ModelFacts, snapshot: Snapshot, off: frozenset[str]
) -> Sequence[RouteFacts]:
    routes: Sequence[RouteFacts] = snapshot.routes.get(model.name, ())
    if off:
        routes = [one for one in routes if f"provider.{one.provider}" not in off]
    if not routes:
        raise Unavailable(
            f"No provider serves '{model.name}' now: an operator must enable a route.",
            code="no_route",
        )
    return routes


def _candidates(
    model: ModelFacts,
    routes: Sequence[RouteFacts],
    snapshot: Snapshot,
    off: frozenset[str],
) -> tuple[Candidate, ...]:
    now = dt.datetime.now(dt.UTC)
    found = [
        candidate
        for route in _ordered(routes)
        if (candidate := _candidate(route, snapshot, now)) is not None
    ]
    if not found:
        raise NotPermitted(
            f"The model '{model.name}' has no price yet, so it is blocked. An operator "
            "can add one under Prices.",
            param="model",
            code="model_unpriced",
        )
    return tuple(found[:1] if FALLBACK in off else found)


def _ordered(routes: Sequence[RouteFacts]) -> list[RouteFacts]:
    """The routes by priority; equal ones in random order by weight."""
    if len(routes) == 1:
        return list(routes)
    ordered: list[RouteFacts] = []
    for _, group in groupby(routes, key=lambda route: route.priority):
        left = list(group)
        while len(left) > 1:
            weights = [route.weight for route in left]
            # Spreads load; nothing secret.
            drawn = (
                random.choices(left, weights)[0]  # noqa: S311
                if any(weights)
                else left[0]
            )
            left.remove(drawn)
            ordered.append(drawn)
        ordered.extend(left)
    return ordered


def _candidate(
    route: RouteFacts, snapshot: Snapshot, now: dt.datetime
) -> Candidate | None:
    provider = snapshot.providers[route.provider]
    rate = snapshot.rate(route.provider, route.upstream_model, now)
    unpriced = rate is None
    if rate is None:
        if settings.LLM_UNPRICED == "block":
            return None
        rate = _stated_rate(route, now)
    override = snapshot.override(route.provider, route.upstream_model, now)
    return Candidate(
        provider,
        route.upstream_model,
        rate,
        unpriced,
        override.state if override else "",
    )


def _stated_rate(route: RouteFacts, now: dt.datetime) -> Rate:
    """The price of a model without one under LLM_UNPRICED=cap: never zero."""
    micros = round(settings.LLM_UNPRICED_USD_PER_MILLION * money.MICROS)
    return Rate(route.provider, route.upstream_model, micros, micros, micros, now)


def _limits(party: Party, snapshot: Snapshot) -> tuple[Limit, ...]:
    if not snapshot.limits:
        return ()
    scopes = sorted(party.scopes, key=lambda scope: ORDER.index(scope[0]))
    return tuple(limit for scope in scopes for limit in snapshot.limits.get(scope, ()))


def _cache_epochs(
    model: str, principal: Principal, chosen: Selection, snapshot: Snapshot
) -> tuple[int, int, int, int]:
    if not snapshot.cache_epochs:
        return (0, 0, 0, 0)
    found = snapshot.cache_epochs.get
    return (
        found("all", 0),
        found(f"model:{model}", 0),
        found(f"customer:{principal.customer_id}", 0),
        found(f"prompt:{chosen.prompt_key}", 0),
    )


def _party(principal: Principal, model: str, tags: tuple[str, ...]) -> Party:
    return Party(principal.customer_id, principal.team, principal.key, model, tags)
