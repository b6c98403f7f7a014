"""Compares the figures of a span with the targets (settings.TARGET_...)."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings

from valuecanvas.performance.measurement import Performance

# Of fewer requests a quantile or a share says little.
LEAST_REQUESTS = 100
FEW = f"fewer than {LEAST_REQUESTS} requests"


class TargetState(StrEnum):
    MET = "met"
    MISSED = "missed"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Target:
    """A target beside what was found; None: there is no figure. `note` says why."""

    name: str
    title: str
    # 'below' or 'above' the `target`, which is in `unit`.
    wanted: str
    target: float
    unit: str
    found: float | None
    state: TargetState
    note: str = ""

    def row(self) -> dict[str, Any]:
        return asdict(self)


def judge(found: Performance) -> list[Target]:
    """All targets, in the order of the product's table of them."""
    usage = found.total.usage
    _, p95, p99 = usage.latency_ms
    errors, cached = found.error_share, found.cached_share
    cost = usage.cost_per_request
    return [
        _judge(found, "p95", "Latency, 95th percentile", settings.TARGET_P95_S, "s", _per(p95, 1000)),
        _judge(found, "p99", "Latency, 99th percentile", settings.TARGET_P99_S, "s", _per(p99, 1000)),
        _judge(found, "error_rate", "Error rate", settings.TARGET_ERROR_PERCENT, "%", _per(errors, 0.01)),
        _throughput(found),
        _judge(found, "cache_hits", "Cache hits", settings.TARGET_CACHE_HIT_PERCENT, "%", _per(cached, 0.01), above=True),
        _judge(found, "cost", "Cost per request", settings.TARGET_COST_USD, "USD", None if cost is None else float(cost)),
    ]  # fmt: skip


def _per(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _judge(
    of: Performance,
    name: str,
    title: str,
    target: float,
    unit: str,
    found: float | None,
    *,
    above: bool = False,
) -> Target:
    state, note = TargetState.NOT_JUDGED, FEW
    if found is not None and of.asked >= LEAST_REQUESTS:
        met = found > target if above else found < target
        state, note = (TargetState.MET if met else TargetState.MISSED), ""
    wanted = "above" if above else "below"
    return Target(name, title, wanted, target, unit, found, state, note)


def _throughput(found: Performance) -> Target:
    """The most that was served; missed only if more was asked for and was refused."""
    target, peak = settings.TARGET_REQUESTS_PER_S, found.busiest_per_s
    state, note = TargetState.NOT_JUDGED, "nobody asked for more"
    if peak >= target:
        state, note = TargetState.MET, ""
    elif found.overloaded:
        state = TargetState.MISSED
        note = f"{found.overloaded:,} requests were refused for overload"
    title = f"Throughput, busiest {found.span.counted_name}"
    return Target("throughput", title, "above", target, "requests/s", peak, state, note)
