"""Two web processes with toxics before their engines, and the record of each case."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from pytest_django.plugin import DjangoDbBlocker

from tests.demo_process import DemoProcess, demo_process
from tests.faults import report, rest
from tests.faults.counts import FULL, either
from tests.faults.engines import Engines, own_engines
from tests.faults.report import Case
from tests.faults.rig import Rig
from tests.faults.toxic import Toxic
from tests.faults.web import Web, webs

PAGE = Path(__file__).parents[2] / "docs" / "RELIABILITY.md"
Env = dict[str, str]


@dataclass(frozen=True)
class Stage:
    """What all cases of a session share: engines, toxics, two web processes."""

    engines: Engines
    toxics: dict[str, Toxic]
    webs: list[Web]
    env: Env
    folder: Path
    # What a process holds that has served and has nothing to do (I8).
    rest: dict[str, int] = field(default_factory=dict)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """The record of this case. A case that injected nothing fails."""
    made = Case(_name(request.node.path.stem, request.node.name))
    yield made
    assert made.total > 0 or not made.passed, (
        "This case has injected nothing, so it has tested nothing."
    )


def _name(stem: str, test: str) -> str:
    """`test_t04_redis`, `test_redis__killed__x` -> `T4 redis killed: x`."""
    number = stem.split("_")[1].upper().replace("T0", "T")
    subject, condition, outcome = test.removeprefix("test_").split("__")
    return f"{number} {subject}, {condition}: {outcome}".replace("_", " ")


@pytest.fixture(scope="session")
def stage(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        engines = stack.enter_context(own_engines(folder))
        stack.enter_context(django_db_blocker.block())
        urls = {"postgres": engines.postgres.url, "redis": engines.valkey.url}
        toxics = {name: Toxic.before(url) for name, url in urls.items()}
        for toxic in toxics.values():
            stack.callback(toxic.close)
        env = {
            "DATABASE_URL": toxics["postgres"].url(urls["postgres"]),
            "REDIS_URL": toxics["redis"].url(urls["redis"]),
            "CELERY_BROKER_URL": toxics["redis"].url(urls["redis"]),
            "VALUECANVAS_VAR": str(settings.VAR_DIR),
            "JOURNAL_DIR": str(folder / "journal"),
            # A machine that runs other tests may be later than in production.
            "REDIS_TIMEOUT_MS": str(either(500, 100)),
            "LOG_LEVEL": "info",
            "SHUTDOWN_GRACE_S": "0",
            "ACCESS_LOG": "off",
        }
        running = stack.enter_context(webs([Web(folder, env), Web(folder, env)]))
        yield Stage(engines, toxics, running, env, folder)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """A provider with a send log of the module's own."""
    with demo_process(send_log=tmp_path_factory.mktemp("send_log")) as running:
        yield running


@pytest.fixture
def rig(
    stage: Stage, demo: DemoProcess, case: Case, django_db_blocker: DjangoDbBlocker
) -> Iterator[Rig]:
    """The shared pair with callers of its own; the faults are over at the end.

    Then the processes hold no more than before (I8).
    """
    with django_db_blocker.unblock():
        made = Rig(
            demo,
            port=stage.webs[0].port,
            pool=stage.engines.pool,
            case=case,
            engines=stage.engines,
            webs=stage.webs,
            toxics=stage.toxics,
        )
        if not stage.rest:
            model = made.provide("drip@20ms:10").model
            _, key = made.new_customer(daily_requests=1000)
            for web in reversed(stage.webs):
                stage.rest.update(rest.warmed(web, key, model))
        # A case before this one may have taken the database away a moment ago.
        deadline = time.monotonic() + 60
        for web in stage.webs:
            while web.alive and web.status("/health/ready") != 200:
                assert time.monotonic() < deadline, "It is not ready again."
                time.sleep(0.05)
        memory = [rest.held(web)["memory"] for web in stage.webs if web.alive]
        most = {**stage.rest, "memory": max(memory, default=stage.rest["memory"])}
        yield made
        for toxic in stage.toxics.values():
            toxic.clear()
        stage.engines.thaw_valkey()
        rest.assert_at_rest(made.webs, most)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """The case's record goes with the report, which xdist brings to the controller."""
    found = yield
    made = getattr(item, "funcargs", {}).get("case")
    if made is not None and found.when != "setup":
        # What a process still holds is seen once the case is over.
        made.passed = found.passed and (made.passed or found.when == "call")
        result = "passed" if made.passed and made.total else "**failed**"
        found.user_properties.append(("fault", (made.name, made.row(result))))
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Under FAULTS=full the table is written."""
    reports = [
        one
        for result in ("passed", "", "failed", "error")
        for one in terminalreporter.stats.get(result, ())
    ]
    rows = dict(
        value
        for one in reports
        for name, value in one.user_properties
        if name == "fault"
    )
    if FULL and rows and PAGE.exists():
        report.write(PAGE, rows)
