"""Names in PromQL, compared with the metrics that the product has."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import yaml
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric

import flags.metrics
import llm.metrics
import valuecanvas.core.metrics
import valuecanvas.core.telemetry.errors
import valuecanvas.http.cold_path
from tests.deploy.tools import DEPLOY

# Importing them registers what they have.
INSTRUMENTS = (
    flags.metrics,
    llm.metrics,
    valuecanvas.core.metrics,
    valuecanvas.core.telemetry.errors,
    valuecanvas.http.cold_path,
)
RULES_PATH = DEPLOY / "observability/prometheus/rules.yaml"
# What Prometheus adds to each series.
TARGET_LABELS = frozenset({"instance", "job", "namespace"})
# Metrics of Prometheus itself and of the node exporter.
FOREIGN = {
    "up": frozenset[str](),
    "scrape_duration_seconds": frozenset[str](),
    "node_filesystem_avail_bytes": frozenset({"fstype", "mountpoint"}),
    "node_filesystem_size_bytes": frozenset({"fstype", "mountpoint"}),
    "node_cpu_seconds_total": frozenset({"mode"}),
    "node_memory_MemAvailable_bytes": frozenset[str](),
    "node_memory_MemTotal_bytes": frozenset[str](),
}
SUFFIXES: dict[str, dict[str, tuple[str, ...]]] = {
    "counter": {"_total": ()},
    "histogram": {"_bucket": ("le",), "_sum": (), "_count": ()},
}
PLAIN: dict[str, tuple[str, ...]] = {"": ()}
KEYWORDS = {"and", "or", "unless", "by", "on", "group_left", "offset", "bool"}
GROUPING = re.compile(r"\b(?:by|on|group_left)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"\{([^}]*)\}")
NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*+(?!\s*\()")


def rules() -> list[dict[str, Any]]:
    """All recording and alerting rules."""
    groups = yaml.safe_load(RULES_PATH.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@cache
def series() -> dict[str, frozenset[str]]:
    """The labels of every series that can exist, by its name."""
    found = {name: frozenset(labels) for name, labels in _product_series()}
    recorded = {
        rule["record"]: frozenset[str]() for rule in rules() if "record" in rule
    }
    return {**found, **recorded, **FOREIGN}


def _product_series() -> Iterator[tuple[str, Iterable[str]]]:
    for collector in {*REGISTRY._collector_to_names}:
        describe = getattr(collector, "describe", collector.collect)
        for family in describe():
            labels = _labels(collector) or _labels(family)
            for suffix, more in SUFFIXES.get(family.type, PLAIN).items():
                yield family.name + suffix, (*labels, *more)


def _labels(one: object | Metric) -> tuple[str, ...]:
    # The library has no public name for them.
    return tuple(getattr(one, "_labelnames", ()))


def find_unknown(query: str) -> set[str]:
    """The names of metrics and labels in a query that do not exist."""
    text = re.sub(r'"[^"]*"', '""', query)
    labels = {
        label for inner in GROUPING.findall(text) for label in NAME.findall(inner)
    }
    labels |= {
        label for inner in SELECTOR.findall(text) for label in NAME.findall(inner)
    }
    bare = re.sub(r"\[[^]]*\]", "", SELECTOR.sub("", GROUPING.sub("", text)))
    metrics = {*NAME.findall(bare)} - KEYWORDS
    assert metrics or "vector" in query, query
    known = {label for name in metrics for label in series().get(name, ())}
    return (metrics - series().keys()) | (labels - known - TARGET_LABELS)
