"""What a drill needs: a model with providers, and a customer and a key of its own."""

import asyncio
import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from django.utils import timezone

from billing.auth import customers, keys
from billing.models import Customer, Price, Tier
from llm.chaos.drills.drill import Drill, DrillImpossible, DrillRoute
from llm.chaos.drills.drill_traffic import Traffic, gateway_url, read_readiness
from llm.chaos.process_faults import here
from llm.jobs.metrics import live_workers
from llm.models import JobWorker, Model, Route

CUSTOMER = TIER = "chaos-drill"
TAG = "chaos-drill"
# Far above what a day of drills takes: a drill must not meet limits of its own.
DAILY_REQUESTS, MOST_OUTPUT = 100_000, 512
KEY_LIVES = dt.timedelta(hours=2)
# Of a drill's request with its prompt, rounded up.
PROMPT_TOKENS = 60


@dataclass(frozen=True, slots=True)
class Scene:
    """The model that a drill asks, and its routes, the first one tried first."""

    drill: Drill
    url: str
    model: Model
    routes: Sequence[DrillRoute]
    # Those of which one may be killed.
    workers: Sequence[JobWorker] = ()

    @property
    def cost_usd(self) -> Decimal | None:
        """The most that its requests cost at the providers; None: a price is missing."""
        most = Decimal(0)
        for route in self.routes:
            price = Price.objects.filter(
                provider=route.provider,
                upstream_model=route.upstream_model,
                effective_from__lte=timezone.now(),
            ).order_by("-effective_from").first()  # fmt: skip
            if price is None:
                return None
            of_one = PROMPT_TOKENS * price.input_usd
            of_one += self.drill.max_tokens * price.output_usd
            most = max(most, of_one / 1_000_000)
        return most * self.drill.requests_at_most


def set_scene(drill: Drill, model_name: str = "") -> Scene:
    """Find what the drill needs. Raises DrillImpossible."""
    url = gateway_url()
    ready = asyncio.run(read_readiness(url))
    if ready.get("status") != "ok":
        raise DrillImpossible(
            f"No gateway is ready at {url}. Start it, or set DRILL_URL to its address."
        )
    model, routes = _find_model(drill, model_name)
    return Scene(drill, url, model, routes, _find_workers(drill))


@contextmanager
def open_traffic(scene: Scene) -> Iterator[tuple[Customer, Traffic]]:
    """Requests of the drills' own customer, whose key is revoked afterwards."""
    customer = _customer()
    key, text = keys.issue(
        customer=customer,
        name=f"Drill {scene.drill.name}",
        scopes=["llm"],
        allowed_models=[scene.model.name],
        tags=[TAG],
        expires_at=timezone.now() + KEY_LIVES,
    )
    drill = scene.drill
    try:
        yield (
            customer,
            Traffic(scene.url, text, scene.model.name, drill.max_tokens, drill.stream),
        )
    finally:
        keys.revoke(key)


def _customer() -> Customer:
    Tier.objects.get_or_create(
        key=TIER,
        defaults={
            "name": "Drills",
            "daily_requests": DAILY_REQUESTS,
            "max_output_tokens": MOST_OUTPUT,
        },
    )
    return customers.get_or_add(user_id=CUSTOMER, tier=TIER)


def _find_model(drill: Drill, name: str) -> tuple[Model, list[DrillRoute]]:
    """The named model, or the first one with enough providers."""
    rows = Model.objects.filter(enabled=True, kind=Model.Kind.CHAT)
    for model in rows.filter(name=name) if name else rows:
        routes = _routes(model)
        if len({one.provider for one in routes}) >= drill.needs_routes:
            return model, routes
    wanted = f"The model '{name}' has not" if name else "No chat model has"
    raise DrillImpossible(
        f"{wanted} {drill.needs_routes} enabled providers, which this drill needs. Add a "
        "route to another provider under Models."
    )


def _routes(model: Model) -> list[DrillRoute]:
    rows = Route.objects.filter(
        model=model, enabled=True, provider__enabled=True
    ).order_by("priority", "-weight")
    return [DrillRoute(one.provider_id, one.upstream_model) for one in rows]


def _find_workers(drill: Drill) -> list[JobWorker]:
    """Those that may be killed: another one is left, and it is not this process."""
    if not drill.needs_workers:
        return []
    live = live_workers(timezone.now())
    if len(live) < drill.needs_workers:
        raise DrillImpossible(
            f"{len(live)} worker runs, and this drill kills one: another must be there to "
            "take over. Start a second worker first."
        )
    return [one for one in live if str(one) != here()]
