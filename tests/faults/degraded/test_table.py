"""The table "What fails how" of docs/OPERATIONS.md, cell by cell, on two processes."""

import asyncio
from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.demo_process import DemoProcess
from tests.faults.conftest import Stage
from tests.faults.degraded import table
from tests.faults.degraded.control import outcomes
from tests.faults.degraded.play import BOOKS, CONTROLS, Findings, play
from tests.faults.degraded.states import STATES
from tests.faults.report import Case
from tests.faults.rig import Rig
from tests.faults.web import Web, webs

DECLARED = table.cells()


@pytest.fixture(scope="module")
def pair(stage: Stage) -> Iterator[list[Web]]:
    """Two processes that know a busy machine from a Redis that is slow."""
    env = {**stage.env, "REDIS_TIMEOUT_MS": "1000"}
    with webs([Web(stage.folder, env), Web(stage.folder, env)]) as running:
        yield running


@pytest.fixture(scope="module")
def findings(
    request: pytest.FixtureRequest,
    stage: Stage,
    pair: list[Web],
    demo: DemoProcess,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Findings]:
    """The state was acted out once, for all its cells."""
    state = request.param
    declared = {row: found for (row, at), found in DECLARED.items() if at == state}
    with django_db_blocker.unblock():
        rig = Rig(
            demo,
            port=pair[0].port,
            pool=stage.engines.pool,
            case=Case(state),
            engines=stage.engines,
            webs=pair,
            toxics=stage.toxics,
        )
        yield asyncio.run(play(rig, state, declared))


def test_table__its_rows_and_columns__are_the_controls_and_states_of_the_tests() -> (
    None
):
    assert {row for row, _ in DECLARED} == set(CONTROLS)
    assert {state for _, state in DECLARED} == set(STATES)
    assert len(DECLARED) == len(CONTROLS) * len(STATES)


@pytest.mark.parametrize("row", CONTROLS)
def test_table__each_outcome_that_can_be_proved__is_declared(row: str) -> None:
    declared = {table.method(DECLARED[row, state]) for state in STATES}
    assert declared | {"same"} == outcomes(CONTROLS[row])
    assert {name.partition("_")[0] for name in declared} <= set(table.WORDS)


@pytest.mark.parametrize("row", [*CONTROLS])
@pytest.mark.parametrize("findings", STATES, indirect=True, ids=str)
def test_cell__in_its_state_and_after_it__is_as_declared(
    findings: Findings, row: str
) -> None:
    findings.judge(row)


@pytest.mark.parametrize("findings", STATES, indirect=True, ids=str)
def test_state__once_it_is_over__has_lost_nothing(findings: Findings) -> None:
    findings.judge(BOOKS)
