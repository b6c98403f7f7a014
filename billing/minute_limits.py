"""Limits per minute and on concurrency, as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MinuteLimits:
    """Most requests and tokens in a minute, and most requests at once. None: no limit."""

    requests: int | None = None
    tokens: int | None = None
    concurrent: int | None = None

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return (
            self.requests is not None
            or self.tokens is not None
            or self.concurrent is not None
        )

    def fill_from(self, other: "MinuteLimits") -> "MinuteLimits":
        """These limits; where one is not set, that of `other`."""
        return MinuteLimits(
            other.requests if self.requests is None else self.requests,
            other.tokens if self.tokens is None else self.tokens,
            other.concurrent if self.concurrent is None else self.concurrent,
        )

    def shared(self, share: float) -> "MinuteLimits":
        """The part of these limits that is `share` of 1; at least 1 of each."""

        def part(limit: int | None) -> int | None:
            return None if limit is None else min(limit, max(1, int(limit * share)))

        return MinuteLimits(
            part(self.requests), part(self.tokens), part(self.concurrent)
        )


NO_LIMITS = MinuteLimits()
