"""The soak runs, counts what it says it counts, and finds a leak that was put in."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import leaks, report, servers, soak
from bench.leaks import TOLERANCES
from bench.mix import SHARES, Done
from bench.run import PAGE
from bench.soak import Plan, Soaked

SHORT = Plan(seconds=6.0, share=0.3, probe_s=3.0, burst=80, burst_s=2.0)


def samples(name: str, values: list[float]) -> list[leaks.Sample]:
    level = dict.fromkeys(TOLERANCES, 10.0)
    return [{**level, name: value} for value in values]


def growing(found: list[leaks.Growth]) -> set[str]:
    return {growth.name for growth in found if not growth.level}


@pytest.mark.parametrize("name", TOLERANCES)
def test_judge__a_count_that_rises_all_the_time__grows(name: str) -> None:
    step = 2 * TOLERANCES[name][1] / 50
    rising = [100 + step * number for number in range(100)]
    assert growing(leaks.judge(samples(name, rising))) == {name}


def test_judge__rises_while_it_warms_up__is_level() -> None:
    values = [*range(20), *[20.0] * 80]
    assert not growing(leaks.judge(samples("memory", values)))


def test_judge__a_rush_at_the_end__is_level() -> None:
    values = [*[20.0] * 85, *[500.0] * 15]
    assert not growing(leaks.judge(samples("tasks", values)))


def test_page__failed_run__says_what_and_why() -> None:
    found = Soaked(
        SHORT,
        capacity=100.0,
        done=Done({"miss": 10}, 1, ["miss: status 500"], 2.0),
        samples=samples("tasks", [float(10 * number) for number in range(100)]),
        reserved=0,
    )
    found.growths = leaks.judge(found.samples)
    text = soak.page(found)
    assert "GROWS: tasks" in text
    assert "WRONG: miss: status 500" in text
    assert "Verdict: FAILED." in text


def test_write__the_soaks_markers__are_in_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    report.write(page, "- new", begin=soak.BEGIN, end_mark=soak.END)
    assert f"{soak.BEGIN}\n- new\n{soak.END}" in page.read_text()
    assert report.BEGIN in page.read_text()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "LOG_DIR", tmp_path / "kept")


@pytest.mark.usefixtures("kept")
def test_run__short__answers_rightly_and_leaves_nothing() -> None:
    found = soak.run(SHORT)
    assert (found.done.wrong, found.done.problems) == (0, [])
    assert set(found.done.right) == set(SHARES)
    assert found.reserved == 0
    # Descriptors and memory need longer to settle than a test lasts.
    assert not growing(found.growths) & {
        "threads",
        "PostgreSQL connections",
        "Redis connections",
    }


@pytest.mark.usefixtures("kept")
def test_run__leak_put_in__is_found() -> None:
    leaky = replace(SHORT, app="tests.bench.leaky:application")
    found = soak.run(leaky)
    assert growing(found.growths) >= {"tasks", "descriptors"}
    assert not found.passed
