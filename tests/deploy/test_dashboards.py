"""Grafana's dashboards: what they ask for exists, and they have what an operator expects."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.deploy.promql import find_unknown
from tests.deploy.test_alert_rules import promtool
from tests.deploy.tools import DEPLOY, Manifest

FOLDER = DEPLOY / "observability/grafana"
BOARDS: dict[str, Manifest] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((FOLDER / "dashboards").glob("*.json"))
}
UNITS = {"short", "s", "reqps", "percentunit", "currencyUSD", "bytes"}


class Question(NamedTuple):
    """One PromQL query of a panel."""

    board: str
    panel: str
    expression: str


def questions() -> Iterator[Question]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield Question(name, panel["title"], target["expr"])


def plain(expression: str, window: str = "1m") -> str:
    """A query with Grafana's variables replaced, as Prometheus would get it."""
    return expression.replace("$__rate_interval", window).replace("$namespace", ".*")


@pytest.mark.parametrize("board", BOARDS)
def test_queries__of_every_board__name_metrics_and_labels_that_exist(
    board: str,
) -> None:
    asked = [one for one in questions() if one.board == board]
    assert len(asked) >= 10
    unknown = {one.panel: find_unknown(plain(one.expression)) for one in asked}
    assert {panel: names for panel, names in unknown.items() if names} == {}


def test_queries__of_all_boards__are_taken_by_prometheus(tmp_path: Path) -> None:
    asked = enumerate(questions())
    rules = [{"record": f"a:{n}", "expr": plain(it.expression)} for n, it in asked]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": rules}]}))
    assert promtool("check", "rules", str(path)) == ""


def test_boards__of_the_folder__are_the_four_and_can_be_found() -> None:
    titles = {name: board["title"] for name, board in BOARDS.items()}
    assert titles == {
        "llm-monitoring": "LLM monitoring",
        "llm-cost": "Cost tracking",
        "llm-system": "System health",
        "llm-performance": "Performance",
    }
    for name, board in BOARDS.items():
        assert board["uid"] == name
        dropdown, console = board["links"]
        assert dropdown["tags"] == board["tags"]
        assert console["url"] == "${console}/admin/"


@pytest.mark.parametrize("name", BOARDS)
def test_panels__of_every_board__have_units_a_source_and_a_place(name: str) -> None:
    board = BOARDS[name]
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert variables["source"]["type"] == "datasource"
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${source}"}
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        legends = {
            label
            for target in panel["targets"]
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"])
        }
        asked = " ".join(target["expr"] for target in panel["targets"])
        assert {
            x for x in legends if x not in (*LABELS, *re.findall(r"\w+", asked))
        } == set()
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


LABELS = ("instance", "job", "mountpoint")


def test_provisioning__of_grafana__finds_boards_and_sources() -> None:
    compose = yaml.safe_load((DEPLOY / "observability/compose.yaml").read_text())
    mounts = dict(
        volume.removesuffix(":ro").split(":")
        for volume in compose["services"]["grafana"]["volumes"]
    )
    (provider,) = yaml.safe_load((FOLDER / "provider.yaml").read_text())["providers"]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    sources = yaml.safe_load((FOLDER / "datasources.yaml").read_text())["datasources"]
    by_uid = {one["uid"]: one for one in sources}
    assert by_uid["prometheus"]["isDefault"]
    (exemplar,) = by_uid["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplar["datasourceUid"] in by_uid
    for one in sources:
        host = re.match(r"http://(\w+):\d+", one["url"])
        assert host
        assert host[1] in compose["services"]
