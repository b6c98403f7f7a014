"""Every metric of ours: its labels are known ones. docs/reference/METRICS.md has it."""

import importlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from valuecanvas.core.telemetry.bounded_metrics import OPEN_LABELS, _Bounded
from valuecanvas.core.telemetry.database_metrics import DatabaseMetrics

ROOT = Path(__file__).resolve().parents[1]
APPS = ("llm", "billing", "flags", "prompts", "valuecanvas")
OURS = ("valuecanvas_", "gen_ai_")
# Labels whose values are enumerations of the code.
CLOSED_LABELS = {
    "endpoint",
    "fault",
    "gen_ai_operation_name",
    "gen_ai_token_type",
    "invariant",
    "kind",
    "named_by",
    "reason",
    "result",
    "severity",
    "state",
    "status",
    "type",
    "verdict",
}


class MetricRow(NamedTuple):
    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def load_instruments() -> None:
    """Import every module that makes metrics."""
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            if "prometheus_client import" in path.read_text():
                parts = path.relative_to(ROOT).with_suffix("").parts
                importlib.import_module(".".join(parts))


def _registered() -> Iterator[MetricRow]:
    for one in REGISTRY._collector_to_names:
        if isinstance(one, DatabaseMetrics):
            for family in one.describe():
                yield MetricRow(
                    family.name,
                    family.type,
                    tuple(family._labelnames),
                    family.documentation,
                )
        elif isinstance(one, MetricWrapperBase):
            yield MetricRow(
                one._name, str(one._type), tuple(one._labelnames), one._documentation
            )


@lru_cache(maxsize=1)
def metrics() -> list[MetricRow]:
    load_instruments()
    return [
        row._replace(name=f"{row.name}_total" if row.type == "counter" else row.name)
        for row in _registered()
        if row.name.startswith(OURS)
    ]


def test_metrics__labels__are_enumerations_or_bounded() -> None:
    assert len(metrics()) > 50
    bounded = {one._name for one in _Bounded.ALL}
    for row in metrics():
        assert set(row.labels) <= CLOSED_LABELS | OPEN_LABELS, row.name
        if OPEN_LABELS & set(row.labels):
            assert row.name.removesuffix("_total") in bounded


def test_metrics__of_libraries__have_no_open_labels_in_use() -> None:
    """Django's `model` is that of classes which count themselves: we have none."""
    load_instruments()
    for one in REGISTRY._collector_to_names:
        if isinstance(one, MetricWrapperBase) and not one._name.startswith(OURS):
            assert not OPEN_LABELS & set(one._labelnames) or not one._metrics
