"""The table, its ratios and the targets, from figures that are known."""

import math
from pathlib import Path

import pytest

from bench import report, run, servers
from bench.figures import Cost, Figures, Latency, Target
from bench.plan import FULL, Result


def figures(name: str, miss: float, stream: float, latency: float) -> Figures:
    return Figures(
        name,
        cost={"miss": Cost.make([miss], {}), "stream": Cost.make([stream], {})},
        latency={"miss": Latency(latency, latency * 2, latency * 3)},
        peak_mb=100,
    )


@pytest.fixture
def found() -> dict[str, Figures]:
    return {
        "upstream": Figures("upstream", latency={"miss": Latency(1, 2, 3)}),
        "floor": figures("floor", 0.2, 0.4, 2),
        "litellm": figures("litellm", 15, 60, 21),
        "gateway": figures("gateway", 1.0, 3.0, 6),
    }


def line(text: str, start: str) -> str:
    return next(x for x in text.splitlines() if x.startswith(f"| {start}"))


def test_table__all_measured__shows_both_ratios(found: dict[str, Figures]) -> None:
    text = report.table(found, 40, 10)
    assert line(text, "CPU a request, miss").endswith(
        "| 1.00 ms | 15.00 ms | 0.20 ms | 15.0 | 5.0 |"
    )
    # Less the upstream's own 2 ms at p95: 10, 40 and 2 ms.
    assert line(text, "added latency at 40/s, p95").endswith(
        "| 10.00 ms | 40.00 ms | 2.00 ms | 4.0 | 5.0 |"
    )
    assert "| 100 MB | 100 MB | 100 MB |" in line(text, "peak memory")


def test_table__no_cache_yet__says_so(found: dict[str, Figures]) -> None:
    row = line(report.table(found, 40, 10), "CPU a request, cache hit")
    assert row.split(" | ")[1] == "not yet"


def test_table__cache_hit__is_held_against_their_miss(
    found: dict[str, Figures],
) -> None:
    found["gateway"].cost["hit"] = Cost.make([0.5], {})
    row = line(report.table(found, 40, 10), "CPU a request, cache hit")
    assert "| 0.50 ms | – | – | 30.0 (its miss) |" in row


def test_table__prompt_fetch__is_there_once_measured(found: dict[str, Figures]) -> None:
    assert "prompt fetch" not in report.table(found, 40, 10)
    found["gateway"].cost["fetch"] = Cost.make([0.25], {})
    row = line(report.table(found, 40, 10), "CPU a request, prompt fetch")
    assert row.endswith("| 0.25 ms | – | – | – | – |")


def test_table__fsync_off__is_held_against_their_only_latency(
    found: dict[str, Figures],
) -> None:
    found["gateway"].latency[report.NO_FSYNC] = Latency(3, 5, 7)
    row = line(report.table(found, 40, 10), "added latency at 40/s, PostgreSQL's")
    assert row.endswith("| 2.00 ms | – | – | 10.0 | – |")
    by_name = {target.what: target for target in report.targets(found)}
    target = by_name["added latency of a miss without fsync, p95: half of LiteLLM's"]
    assert (target.value, target.limit) == (3, 20)


def test_table__part_of_the_run__leaves_gaps(found: dict[str, Figures]) -> None:
    del found["litellm"], found["upstream"]
    text = report.table(found, 40, 10)
    assert line(text, "CPU a request, miss").endswith("| – | 0.20 ms | – | 5.0 |")
    assert line(text, "added latency at 40/s, p50").endswith("| – | – | – | – | – |")


def test_targets__figures__met_and_missed(found: dict[str, Figures]) -> None:
    by_name = {target.what: target for target in report.targets(found)}
    assert by_name["miss: 1/10 of LiteLLM's CPU"].met
    assert by_name["miss: CPU over the forwarder's"].met
    assert not by_name["stream: 1/25 of LiteLLM's CPU"].met
    assert by_name["added latency of a miss, p50: half of LiteLLM's"].met
    assert not by_name["hit: CPU"].measured


def test_told__each_outcome__in_one_line() -> None:
    assert report.describe_target(Target("a", 1, 2, "ms")) == "met: a: 1.00 <= 2.00 ms"
    assert report.describe_target(Target("a", 3, 2, "x")) == "MISSED: a: 3.00 <= 2.00 x"
    assert report.describe_target(Target("a", math.nan, 2)) == "not measured: a"


def test_details__wrong_answers_and_engines__are_told() -> None:
    shown = Figures("gateway", cost={"miss": Cost.make([1, 3, 2], {"postgres": 0.4})})
    shown.count(Result(answered=5, wrong=2, problems=["status 500"]))
    shown.count(Result(answered=1, wrong=1, problems=["status 500"]))
    shown.notes.append("6 ledger rows")
    assert report.details({"gateway": shown}) == [
        "gateway, miss: rounds from 1.00 to 3.00 ms, postgres 0.40 ms",
        "gateway: 6 right answers, 3 wrong",
        "gateway: WRONG: status 500",
        "gateway: 6 ledger rows",
    ]


def test_cost__rounds__median_and_spread() -> None:
    assert Cost.make([3, 1, 2], {}) == Cost(2, 1, 3, {})


def test_write__page__changes_only_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")
    report.write(page, "new\n")
    report.write(page, "newer")
    text = f"above\n{report.BEGIN}\nnewer\n{report.END}\nbelow\n"
    assert page.read_text() == text


def test_write__page_without_markers__refuses(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(ValueError, match="not found"):
        report.write(page, "new")


def test_page__run__tells_versions_placement_and_targets(
    found: dict[str, Figures],
) -> None:
    text = run.page(found, FULL, servers.cores())
    assert "django 5.2" in text
    assert "LiteLLM proxy 1.106.2" in text
    assert report.table(found, FULL.rate, FULL.stream_rate) in text
    assert "- met: miss: CPU: 1.00 <= 1.30 ms" in text
    assert "- not measured: hit: CPU" in text
