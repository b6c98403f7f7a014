"""Servers and data folders whose processes are gone when the test ends."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from valuecanvas.embedded import postgres, processes, valkey
from valuecanvas.embedded.engines import Engines
from valuecanvas.embedded.processes import Engine


class Home:
    """One server's folder, and all that a test started in it."""

    def __init__(self, module: ModuleType, folder: Path) -> None:
        self.module = module
        self.folder = folder
        self.started: list[Engine] = []

    def start(self, **options: Any) -> Engine:
        self.started.append(self.module.start(self.folder, **options))
        return self.started[-1]

    def stop(self, engine: Engine) -> None:
        extra = [self.folder] if self.module is postgres else []
        self.module.stop(engine, *extra)

    def close(self) -> None:
        for engine in self.started:
            if processes.is_running(engine.pid):
                self.stop(engine)
            if engine.process:
                engine.process.wait()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A PostgreSQL's."""
    made = Home(postgres, tmp_path / "post gres")
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Home]:
    """A Valkey's."""
    made = Home(valkey, tmp_path / "val key")
    yield made
    made.close()


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    """A data folder as `make run` has it."""
    folder = tmp_path / "va r"
    folder.mkdir(mode=0o700)
    yield folder
    Engines(folder, lambda line: None).stop()
