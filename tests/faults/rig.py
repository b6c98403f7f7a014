"""The world of a fault case: callers, routes, web processes, faults, and the checks."""

import asyncio
import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.faults import invariants
from tests.faults.engines import Engines
from tests.faults.report import Case
from tests.faults.toxic import Toxic
from tests.faults.traffic import Client, Row
from tests.faults.web import Web
from tests.live.world import Served, World, unique

QUOTA = 1_000_000
# However busy the machine is: what takes longer than this will not come.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Offer(Served):
    """A served model, and the names under which its providers know it."""

    upstream: list[str]


@dataclass
class Rig(World):
    """A `World` with several web processes, and a toxic before each thing they use."""

    case: Case = field(default_factory=lambda: Case("unnamed"))
    engines: Engines = field(kw_only=True)
    webs: Sequence[Web] = ()
    # By what they stand before: "postgres", "redis".
    toxics: dict[str, Toxic] = field(default_factory=dict)
    canary: str = field(default_factory=lambda: f"canary-{secrets.token_hex(8)}")
    turns: "itertools.count[int]" = field(default_factory=itertools.count)
    _prompts: "itertools.count[int]" = field(default_factory=itertools.count)
    _doors: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        super().__post_init__()
        # What is not about quota must not run out of it.
        self.tier.daily_requests = QUOTA
        self.db(self.tier.save)

    def close(self) -> None:
        """The thread stays: it is the engines'."""

    @property
    def url_of(self) -> str:
        """The processes in turn."""
        return self.webs[next(self._doors) % len(self.webs)].url

    def text(self) -> str:
        """A prompt that nobody else sends, so that no answer is shared or stored."""
        return f"{self.canary} {next(self._prompts)}"

    async def ask(
        self, client: Client, served: Served, key: str = "", **options: Any
    ) -> Row:
        """A chat at the next web process with a prompt of its own."""
        options.setdefault("text", self.text())
        url = options.pop("url", None) or self.url_of
        return await client.chat(url, key or self.key, served.model, **options)

    def settled(self, *seen: Row) -> None:
        """I1, I2, I6, I7 once all has ended; and the case has injected something."""
        self.db(invariants.assert_all_ended)
        self.db(invariants.assert_billed_once, seen)
        invariants.assert_errors_are_ours(seen)
        invariants.assert_no_crash(self.webs)
        self.db(invariants.assert_not_seen, self.canary, self.webs)

    def compare_send_log(self, *seen: Row) -> int:
        """I3 for these rows; how many could be compared."""
        attempts = self.demo.ended_attempts()
        compared: int = self.db(invariants.assert_send_log_agrees, seen, attempts)
        return compared

    def provide(
        self,
        *behaviours: str,
        url: str = "",
        prices: tuple[str, ...] = (),
        **model: Any,
    ) -> "Offer":
        """A model with one provider per behaviour, whose behaviours can be changed."""
        names = [unique("upstream") for _ in behaviours]
        for name, behaviour in zip(names, behaviours, strict=True):
            self.demo.override(name, behaviour)
        routes = [(url or self.demo.url, name) for name in names]
        served = self.serve_at(*routes, prices=prices, **model)
        return Offer(served.model, served.providers, names)

    def behave(self, offer: "Offer", behaviour: str, route: int = 0) -> None:
        """From now on, a route's provider behaves so."""
        self.demo.override(offer.upstream[route], behaviour)

    def reached(self, offer: "Offer", route: int = 0) -> int:
        """How many calls of a route the provider has seen."""
        found = self.demo.stats().get(offer.upstream[route], {"requests": 0})
        return int(found["requests"])

    def in_flight(self, offer: "Offer", route: int = 0) -> int:
        found = self.demo.stats().get(offer.upstream[route], {"in_flight": 0})
        return int(found["in_flight"])

    async def flying(self, offer: "Offer", count: int = 1) -> None:
        """Wait until the provider has so many calls in hand. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S):
            while self.in_flight(offer) < count:
                await asyncio.sleep(0.01)

    async def health(self, web: Web) -> dict[str, Any]:
        """What /api/llm/health of one process says."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{web.url}/api/llm/health") as answer,
        ):
            found: dict[str, Any] = orjson.loads(await answer.read())
            return found
