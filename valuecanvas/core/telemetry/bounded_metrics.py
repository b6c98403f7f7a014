"""Instruments with a bounded number of series, whatever models and providers there are."""

import time
from typing import Any, ClassVar

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

OTHER = "other"
DAY_S = 86_400.0
MOST_SERIES = 100
MOST_LETTERS = 80
# Labels whose values are data: of the configuration, or words of a provider. All other
# labels are enumerations of this code.
OPEN_LABELS = frozenset(
    {
        "code",
        "error_type",
        "experiment",
        "gen_ai_provider_name",
        "gen_ai_request_model",
        "model",
        "provider",
        "upstream_model",
    }
)


class _Bounded(MetricWrapperBase):
    """Keeps the first `most` sets of label values; the rest is counted as 'other'.

    Its children are made by this class too, without labels to bound.
    """

    ALL: ClassVar[list["_Bounded"]] = []
    swept_at: ClassVar[float] = 0.0

    def __init__(self, *args: Any, most: int = MOST_SERIES, **fields: Any) -> None:
        super().__init__(*args, **fields)
        if self._labelnames and not self._labelvalues:
            self.most = most
            self._used: set[tuple[str, ...]] = set()
            self.ALL.append(self)

    def labels(self, *values: Any, **named: Any) -> Any:
        """The series of these label values, which are in the order of the names."""
        self._used.add(values)
        found = self._metrics.get(values)
        return self._find(values) if found is None else found

    def _find(self, values: tuple[str, ...]) -> Any:
        self._used.discard(values)
        values = tuple(
            value[:MOST_LETTERS] if name in OPEN_LABELS else value
            for name, value in zip(self._labelnames, values, strict=True)
        )
        if values not in self._metrics and len(self._metrics) >= self.most:
            values = tuple(
                OTHER if name in OPEN_LABELS else value
                for name, value in zip(self._labelnames, values, strict=True)
            )
        self._used.add(values)
        return super().labels(*values)

    def drop_unused(self) -> None:
        """Remove the series that were not used since the last call, to make room."""
        used, self._used = self._used, set()
        for values in set(self._metrics) - used:
            self.remove(*values)


class BoundedCounter(_Bounded, Counter):
    """A counter with at most `most` series, apart from those of 'other'."""


class BoundedHistogram(_Bounded, Histogram):
    """A histogram with at most `most` series, apart from those of 'other'."""


class BoundedGauge(_Bounded, Gauge):
    """A gauge with at most `most` series. They stay: one may hold its value for days."""

    def drop_unused(self) -> None:
        """Keep all."""


def drop_unused_series(now: float | None = None) -> None:
    """Once a day, remove the series of models and providers that nothing used in a day."""
    now = time.monotonic() if now is None else now
    if now - _Bounded.swept_at >= DAY_S:
        _Bounded.swept_at = now
        for one in _Bounded.ALL:
            one.drop_unused()
