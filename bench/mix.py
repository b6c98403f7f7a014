"""The load generator of the soak test: mixes all kinds of requests at one rate."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import uvloop

from bench import answers
from bench.client import Pool, post
from bench.plan import Kind

# Percentages of the kinds of requests.
SHARES = {"miss": 35, "hit": 35, "stream": 20, "failure": 5, "leave": 5}
MODELS = {
    "miss": "ok",
    "hit": "ok",
    "stream": "ok-31",
    "failure": "flaky@50",
    "leave": "drip@20ms:200",
}
# A client that disconnects does so during its stream.
LEAVES_AFTER_S = 0.15
TIMEOUT_S = 60.0
# The provider fails, or its circuit breaker is open.
FAILED = (200, 502, 503)
SLOTS = 64
_FORMS: dict[str, Kind] = {
    "miss": "miss",
    "hit": "hit",
    "stream": "stream",
    "failure": "miss",
}


@dataclass(frozen=True)
class Mix:
    """Duration and rate; `rate` 0 is a closed loop of `slots` clients."""

    url: str
    keys: tuple[str, ...]
    expected: dict[str, str]
    seconds: float
    rate: float = 0.0
    seed: int = 0
    slots: int = SLOTS

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        return cls(**{**fields, "keys": tuple(fields["keys"])})


@dataclass
class Done:
    """The number of right answers of each kind, and the problems of the others."""

    right: dict[str, int] = field(default_factory=dict)
    wrong: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        return sum(self.right.values())

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


class _Drive:
    def __init__(self, mix: Mix) -> None:
        address = urlsplit(mix.url)
        self.mix = mix
        self.pool = Pool(address.hostname or "127.0.0.1", address.port or 80)
        self.right: Counter[str] = Counter()
        self.done = Done()
        self._chance = random.Random(mix.seed)
        self._number = mix.seed * 10_000_000

    async def send_request(self) -> None:
        """Send one request of a random kind, by SHARES."""
        self._number += 1
        kind = self._chance.choices(list(SHARES), list(SHARES.values()))[0]
        problem = await (self._leave() if kind == "leave" else self._ask(kind))
        if not problem:
            self.right[kind] += 1
            return
        self.done.wrong += 1
        text = f"{kind}: {problem}"
        if text not in self.done.problems and len(self.done.problems) < 8:
            self.done.problems.append(text)

    def _request(self, kind: str, form: Kind) -> bytes:
        key, prompt = answers.pick(form, self._number, len(self.mix.keys))
        body = answers.body(form, MODELS[kind], prompt)
        return post(urlsplit(self.mix.url).netloc, self.mix.keys[key], body)

    async def _ask(self, kind: str) -> str:
        """The problem of the answer, or ''."""
        form = _FORMS[kind]
        try:
            connection = await self.pool.take()
            timed = await connection.exchange(self._request(kind, form), TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            return f"no answer: {error!r}"
        self.pool.give_back(connection)
        if kind == "failure":
            status = timed.answer.status
            return "" if status in FAILED else f"status {status}"
        # The first request is not a hit yet, nor is one after the expiry.
        judged: Kind = "miss" if kind == "hit" else form
        expected = self.mix.expected[judged]
        return answers.problem(judged, timed.answer, expected=expected)

    async def _leave(self) -> str:
        """Disconnect in the middle of a stream."""
        try:
            connection = await self.pool.take()
            request = self._request("leave", "stream")
            timed = await connection.exchange(request, LEAVES_AFTER_S)
        except TimeoutError:
            return ""
        except OSError as error:
            return f"no answer: {error!r}"
        return f"answered {timed.answer.status} before it was left"


async def drive(mix: Mix) -> Done:
    """Send the mix, and wait for the last answer."""
    it = _Drive(mix)
    start = time.perf_counter()
    until = start + mix.seconds
    await (_at_rate(it, until) if mix.rate else _at_once(it, until))
    it.done.seconds = time.perf_counter() - start
    it.done.right = dict(it.right)
    await it.pool.close()
    return it.done


async def _at_once(it: _Drive, until: float) -> None:
    async def client() -> None:
        while time.perf_counter() < until:
            await it.send_request()

    await asyncio.gather(*(client() for _ in range(it.mix.slots)))


async def _at_rate(it: _Drive, until: float) -> None:
    """Poisson arrivals, independent of the answers."""
    chance = random.Random(it.mix.seed)
    due = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        while (due := due + chance.expovariate(it.mix.rate)) < until:
            delay = due - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            group.create_task(it.send_request())


def serve() -> None:
    """For each line of stdin with a mix, write one line with its result."""
    for line in sys.stdin:
        done = uvloop.run(drive(Mix.from_json(line)))
        sys.stdout.write(done.to_json() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
