"""The gateway, in no hurry, with doors that take a guard off and put it on again.

uvicorn tests.races.switches:application
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import psycopg
from django.conf import settings

from tests.faults import inside
from tests.faults.inside import application
from valuecanvas.asgi import application as gateway

# The application must be there before its modules are changed.
from billing.ledger.ledger import BatchWriter  # isort: skip
from billing.ledger.types import Books, Item  # isort: skip
from prompts.rendering import render
from prompts.rendering.render import ChosenVersion, PromptLibrary, RenderedPrompt

# However busy the machine is, nobody is refused or answered from memory for it.
settings.LLM_ADMIT_TIMEOUT_S = 60.0
LOOK, LOCK, RENDER = BatchWriter._epoch, BatchWriter._lock, render.render


def _known() -> int:
    """The epoch of the snapshot that this process has anyway."""
    assert gateway._runtime is not None
    return gateway._runtime.config.current.epoch


def _no_look(writer: BatchWriter, cursor: psycopg.Cursor) -> int:
    return _known()


def _no_lock(
    writer: BatchWriter, cursor: psycopg.Cursor, items: Sequence[Item]
) -> Books:
    return replace(LOCK(writer, cursor, items), epoch=_known())


def _mixed(
    library: PromptLibrary, chosen: ChosenVersion, variables: Mapping[str, object]
) -> RenderedPrompt:
    """The words of one version with what the next one declares."""
    versions = chosen.prompt.versions
    other = versions[chosen.number % len(versions) + 1].words
    words = replace(chosen.version.words, declared=other.declared)
    version = replace(chosen.version, _words=words)
    return RENDER(library, replace(chosen, version=version), variables)


def _epoch_off() -> None:
    """Nobody compares the epoch with the committed one."""
    BatchWriter._epoch = _no_look  # type: ignore[method-assign, assignment]
    BatchWriter._lock = _no_lock  # type: ignore[method-assign, assignment]


def _version_off() -> None:
    """What a version consists of is not taken from one and the same."""
    render.render = _mixed


def _on() -> None:
    BatchWriter._epoch, BatchWriter._lock = LOOK, LOCK  # type: ignore[method-assign]
    render.render = RENDER


DOORS: dict[str, Callable[[], None]] = {
    "/_guards/on": _on,
    "/_guards/epoch/off": _epoch_off,
    "/_guards/version/off": _version_off,
}
inside.doors |= DOORS

__all__ = ["application"]
