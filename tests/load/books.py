"""The figures of the ledger after a run."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Books:
    """`usage_rows` are of calls that were answered in full, `job_rows` of those by jobs."""

    usage_rows: int
    cached_rows: int
    cost_usd: float
    jobs: int
    job_rows: int
    reservations: int
    drifting: int
    reconciled: bool

    @property
    def hit_percent(self) -> float:
        return 100 * self.cached_rows / max(1, self.usage_rows)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))
