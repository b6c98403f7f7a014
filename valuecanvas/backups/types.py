"""The parts of a backup."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

# Called with a step, how much of it is done, and how much there is (0: unknown).
Progress = Callable[[str, int, int], None]

FORMAT = 1


def quiet(step: str, done: int, of: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, slots=True)
class Table:
    rows: int
    hash: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What the database held when it was dumped. `keys` are settings by name."""

    tables: dict[str, Table]
    keys: dict[str, str] = field(repr=False)

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Contents":
        tables = {name: Table(**one) for name, one in document["tables"].items()}
        return cls(tables, document["keys"])


@dataclass(frozen=True, slots=True)
class StoredFile:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """What is known of a backup without decrypting it.

    `recipient` names its key; `fingerprints` are of the settings that it needs;
    `has_keys`: it contains them. `server_version` is libpq's number.
    """

    name: str
    made_at: datetime
    recipient: str
    files: dict[str, StoredFile]
    tables: int
    rows: int
    server_version: int
    version: str
    has_keys: bool
    fingerprints: dict[str, str]
    format: int = FORMAT

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files.values())

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "made_at": self.made_at.isoformat()}

    @classmethod
    def read(cls, document: dict[str, Any]) -> "BackupSummary":
        files = {name: StoredFile(**one) for name, one in document["files"].items()}
        made_at = datetime.fromisoformat(document["made_at"])
        return cls(**{**document, "files": files, "made_at": made_at})


@dataclass(frozen=True, slots=True)
class RehearsalStep:
    """One check of a rehearsal. `seconds` is how long it took."""

    name: str
    ok: bool
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A restore for trial, and what was checked on the copy."""

    name: str
    at: datetime
    recipient: str
    steps: tuple[RehearsalStep, ...]

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)

    @property
    def failure(self) -> str:
        """The first failed step as a sentence; '' if none failed."""
        bad = next((step for step in self.steps if not step.ok), None)
        return f"{bad.name}: {bad.detail}" if bad else ""

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Rehearsal":
        steps = tuple(RehearsalStep(**one) for one in document["steps"])
        at = datetime.fromisoformat(document["at"])
        return cls(document["name"], at, document["recipient"], steps)
