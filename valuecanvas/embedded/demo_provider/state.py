"""What the demo provider remembers: overrides, counters, attempts under way."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from valuecanvas.embedded.demo_provider import behaviours
from valuecanvas.embedded.demo_provider.behaviours import Behaviour, UnknownBehaviour
from valuecanvas.embedded.demo_provider.errors import RequestRefused
from valuecanvas.embedded.demo_provider.payload import Order, Stream
from valuecanvas.embedded.demo_provider.send_log import (
    FileRecord,
    NoRecord,
    Record,
    file_name,
)

ANY_MODEL = "*"


@dataclass(slots=True)
class ModelStats:
    """Calls of one model: how many came, are in flight, and how the others ended."""

    requests: int = 0
    in_flight: int = 0
    ends: Counter[str] = field(default_factory=Counter)


class Visit:
    """One call from its admission to its end."""

    def __init__(self, stats: ModelStats, record: Record) -> None:
        self._stats = stats
        self._record = record
        self.how = "failed"
        self.usage: dict[str, Any] | None = None
        self.wrote = record.wrote
        stats.requests += 1
        stats.in_flight += 1

    def end(self) -> None:
        """Takes down how it ended."""
        self._stats.in_flight -= 1
        self._stats.ends[self.how] += 1
        self._record.end(self.how, self.usage)


class Desk:
    """The provider's memory, in one process and one event loop."""

    def __init__(self, *, referee: Path | None = None, seed: int = 7) -> None:
        self.closing = False
        self._referee = referee
        self._seed = seed
        self._overrides: dict[str, str] = {}
        self._calls: Counter[str] = Counter()
        self._unlucky: dict[str, list[int]] = {}
        self._stats: dict[str, ModelStats] = {}

    def behaviour(self, model: str) -> Behaviour:
        """What `model` does on this call. Raises RequestRefused (404) if unknown."""
        try:
            asked = behaviours.parse(self._override(model))
        except UnknownBehaviour as error:
            raise RequestRefused(str(error), status=404, param="model") from error
        if asked.flaky is None:
            return asked
        if not self._strikes(model, asked.flaky):
            return asked.calm()
        faults = replace(asked, flaky=None)
        return faults if faults.faulty else replace(faults, status=500)

    def enter(self, order: Order, *, endpoint: str, attempt: str | None) -> Visit:
        """Admits a call; `attempt` is the caller's id for it, else one is made."""
        stats = self._stats.setdefault(order.model, ModelStats())
        return Visit(stats, self._record(order, endpoint, attempt))

    def override(self, model: str, behaviour: str) -> None:
        """Makes `model` (`*` is any) behave as named. Raises UnknownBehaviour."""
        behaviours.parse(behaviour)
        self._overrides[model] = behaviour

    def reset(self, model: str | None = None) -> None:
        """Drops the override of `model`; without one, all of them and the counts."""
        if model is not None:
            self._overrides.pop(model, None)
            return
        self._overrides.clear()
        self._calls.clear()
        for stats in self._stats.values():
            stats.requests = stats.in_flight
            stats.ends.clear()

    @property
    def overrides(self) -> dict[str, str]:
        """Overrides in force, by model."""
        return dict(self._overrides)

    def stats(self) -> dict[str, Any]:
        """Requests per model: all, in flight, and by how they ended."""
        return {
            model: {
                "requests": stats.requests,
                "in_flight": stats.in_flight,
                "ends": dict(stats.ends),
            }
            for model, stats in self._stats.items()
        }

    def _override(self, model: str) -> str:
        return self._overrides.get(model) or self._overrides.get(ANY_MODEL) or model

    def _strikes(self, model: str, percent: int) -> bool:
        """Whether this call is one of the `percent` in its hundred that fail."""
        call = self._calls[model]
        self._calls[model] += 1
        hundred, place = divmod(call, 100)
        if place == 0 or model not in self._unlucky:
            order = list(range(100))
            # A drill wants the same pattern each time, not secrecy.
            shuffler = random.Random(f"{self._seed}:{model}:{hundred}")  # noqa: S311
            shuffler.shuffle(order)
            self._unlucky[model] = order
        return self._unlucky[model][place] < percent

    def _record(self, order: Order, endpoint: str, attempt: str | None) -> Record:
        if self._referee is None or not order.refereed:
            return NoRecord()
        name = attempt or uuid.uuid4().hex
        start = {
            "attempt": name,
            "model": order.model,
            "endpoint": endpoint,
            "stream": isinstance(order.parcel, Stream),
            "prompt_tokens": order.prompt_tokens,
        }
        return FileRecord(self._referee / file_name(name), start)
