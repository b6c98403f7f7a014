"""Runs all parts of the benchmark on one server."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from bench import answers, servers
from bench.figures import Cost, Figures, Latency
from bench.plan import OWN, Kind, Load, Result, Sizes
from bench.servers import Server

MODELS: dict[Kind, str] = {"miss": "ok", "hit": "ok", "stream": "ok-31"}


def model_names() -> tuple[str, ...]:
    """The models of the fake upstream that the benchmark uses."""
    return tuple(sorted(set(MODELS.values())))


class Generator:
    """The load generator's process, controlled by lines of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, load: Load) -> Result:
        """Run one load. Raises RuntimeError if the generator died."""
        return Result.from_json(self.ask(load.to_json()))

    def ask(self, text: str) -> str:
        """Send a line and return the answer. Raises RuntimeError if the generator died."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the load generator has no pipes")
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator ended; see its error above")
        return line


@contextlib.contextmanager
def generator(where: frozenset[int], module: str = "bench.load") -> Iterator[Generator]:
    """Run `module` as a process on these cores."""
    with servers.pin_to_cores(where):
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=servers.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    try:
        yield Generator(process)
    finally:
        process.terminate()
        process.communicate()


@dataclass(frozen=True)
class Bench:
    """The benchmark: the load generator, the sizes and the expected answers."""

    generator: Generator
    sizes: Sizes
    expected: dict[Kind, str]
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def load(self, server: Server, kind: Kind, count: int, rate: float = 0.0) -> Load:
        """A load with prompts that no earlier load has used."""
        return Load(
            url=server.url,
            keys=server.keys,
            kind=kind,
            model=MODELS[kind] if kind in MODELS else OWN[kind][0],
            expected=self.expected[kind] if kind in MODELS else OWN[kind][1],
            first=next(self.numbers) * 1_000_000,
            count=count,
            rate=rate,
        )

    def measure_cpu(
        self, server: Server, kind: Kind, figures: Figures, beside: tuple[Server, ...]
    ) -> None:
        """Measure CPU per request in a closed loop of 32 clients."""
        sizes = self.sizes
        # An answer with all flags is as long as many others.
        counts = {"hit": sizes.hit, "stream": sizes.stream, "flags": sizes.miss // 10}
        count = counts.get(kind, sizes.miss)
        warm_up = self.generator.run(self.load(server, kind, sizes.warm_up))
        figures.answered += warm_up.answered
        rounds: list[float] = []
        spent: dict[str, list[float]] = {other.name: [] for other in beside}
        for _ in range(sizes.rounds):
            load = self.load(server, kind, count)
            before = [one.cpu_seconds() for one in (server, *beside)]
            result = self.generator.run(load)
            after = [one.cpu_seconds() for one in (server, *beside)]
            figures.count(result)
            if not result.answered:
                return
            own, *others = (
                (end - start) * 1000 / result.answered
                for start, end in zip(before, after, strict=True)
            )
            rounds.append(own)
            for other, ms in zip(beside, others, strict=True):
                spent[other.name].append(ms)
        means = {name: sum(ms) / len(ms) for name, ms in spent.items()}
        figures.cost[kind] = Cost.make(rounds, means)

    def measure_latency(
        self, server: Server, kind: Kind, figures: Figures, name: str = ""
    ) -> None:
        """Measure latency at a fixed arrival rate; stored under `name`, or the kind."""
        sizes = self.sizes
        rate = sizes.stream_rate if kind == "stream" else sizes.rate
        load = self.load(server, kind, round(rate * sizes.seconds), rate)
        result = self.generator.run(load)
        figures.count(result)
        if result.answered:
            figures.latency[name or kind] = Latency.make(result.latency_ms)
        if result.first_ms and kind == "stream":
            figures.latency["first content"] = Latency.make(result.first_ms)

    def has_cache(self, server: Server, figures: Figures) -> bool:
        """Whether the server answers a repeated request from its cache."""
        load = replace(self.load(server, "miss", 1), clients=1)
        figures.count(self.generator.run(load))
        repeated = self.generator.run(load)
        figures.count(repeated)
        return repeated.cache_hits == 1

    def measure(self, server: Server, beside: tuple[Server, ...] = ()) -> Figures:
        """Run all parts of the benchmark on one server."""
        figures = Figures(server.name)
        kinds: list[Kind] = ["miss", "stream"]
        if self.has_cache(server, figures):
            kinds.insert(1, "hit")
        for kind in kinds:
            self.measure_cpu(server, kind, figures, beside)
            self.measure_latency(server, kind, figures)
        figures.peak_mb = server.peak_mb()
        return figures

    def measure_own_kinds(
        self, server: Server, figures: Figures, beside: tuple[Server, ...] = ()
    ) -> None:
        """Measure kinds of requests that only the gateway has; they leave no ledger row."""
        found = Figures(server.name)
        for kind in OWN:
            self.measure_cpu(server, kind, found, beside)
        figures.cost |= found.cost
        figures.wrong += found.wrong
        figures.problems += found.problems

    def measure_upstream(self, upstream: Server) -> Figures:
        """Measure the upstream's own latency at the same arrivals."""
        figures = Figures(upstream.name)
        self.generator.run(self.load(upstream, "miss", self.sizes.warm_up))
        for kind in ("miss", "stream"):
            self.measure_latency(upstream, kind, figures)
        return figures


def learn_answers(upstream: Server) -> dict[Kind, str]:
    """The text of the answer to each kind of request.

    Raises RuntimeError if it depends on the prompt: then answers could not be checked.
    """
    found: dict[Kind, str] = {}
    for kind, model in MODELS.items():
        texts = {_ask(upstream.url, kind, model, number) for number in (1, 2)}
        if len(texts) != 1:
            raise RuntimeError(f"{model} answers {texts} to different prompts")
        found[kind] = texts.pop()
    return found


def _ask(url: str, kind: Kind, model: str, number: int) -> str:
    request = urllib.request.Request(  # noqa: S310
        f"{url}/v1/chat/completions",
        data=answers.body(kind, model, number),
        headers={"content-type": "application/json", "authorization": "Bearer bench"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return answers.read(kind, answer.read()).text
