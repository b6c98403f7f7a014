"""Evaluation: a value, a variant and a reason from a flag and a caller's attributes.

Pure: the same flags, attributes and time give the same answer in every process.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flags.engine.answer import ERROR, FLAG_NOT_FOUND, Evaluation
from flags.engine.flag_facts import FlagFacts

Context = Mapping[str, object]

# The prefix of the gateway's own flags.
OWN = "gateway."


@dataclass(frozen=True)
class FlagSet:
    """All flags at one epoch, by name."""

    epoch: int
    flags: Mapping[str, FlagFacts]

    def get(self, name: str) -> FlagFacts | None:
        return self.flags.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.flags)

    def __len__(self) -> int:
        return len(self.flags)

    @cached_property
    def in_gateway(self) -> tuple[str, ...]:
        """The flags evaluated for each LLM request, with the gateway's own."""
        return tuple(
            name
            for name, one in self.flags.items()
            if one.in_gateway or name.startswith(OWN)
        )

    @cached_property
    def _times(self) -> tuple[float, ...]:
        return tuple(sorted(c.at for one in self.flags.values() for c in one.schedule))

    def version_at(self, now: float) -> str:
        """A tag that changes with the epoch and with each due change, for ETags.

        `now` is Unix time.
        """
        return f"{self.epoch}.{bisect_right(self._times, now)}"


def flag_set(epoch: int, facts: Mapping[str, FlagFacts]) -> FlagSet:
    """The FlagSet of `facts`, which are keyed by primary key."""
    by_name = {one.name: one for one in facts.values()}
    return FlagSet(epoch, dict(sorted(by_name.items())))


def evaluate(
    flags: FlagSet,
    key: str,
    context: Context,
    default: Any = None,
    *,
    now: float | None = None,
) -> Evaluation:
    """Evaluate the flag `key` for the caller of `context` at `now` (Unix time).

    Never raises: a missing flag gives `default`.
    """
    facts = flags.flags.get(key)
    if facts is None:
        return Evaluation(
            key, default, "", ERROR, why="No such flag.", error=FLAG_NOT_FOUND
        )
    return facts.timeline.at(now).decide(flags, context, default, now=now)


def evaluate_all(
    flags: FlagSet,
    context: Context,
    keys: Iterable[str] | None = None,
    *,
    now: float | None = None,
) -> list[Evaluation]:
    """Evaluate the flags `keys`, or all flags in the order of their names."""
    names = flags if keys is None else keys
    return [evaluate(flags, name, context, now=now) for name in names]
