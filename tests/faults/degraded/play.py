"""One state of the table: what was, the state, each control in it, and all well again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.faults.degraded import answers, callers, services, table
from tests.faults.degraded.control import Control, OneByOne, step_of
from tests.faults.degraded.states import STATES
from tests.faults.rig import Rig
from tests.faults.traffic import Row

CONTROLS: dict[str, type[Control]] = {
    kind.row: kind
    for kind in (
        callers.KnownKeys,
        callers.NewKeys,
        callers.Quota,
        callers.Budgets,
        callers.UnderWay,
        callers.MinuteLimits,
        answers.Cache,
        answers.Coalescing,
        answers.IdempotencyKeys,
        services.Breakers,
        services.Configuration,
        services.Admin,
        services.Liveness,
        services.Readiness,
    )
}
BOOKS = "the books"
# Far beyond what anything takes: a check that hangs fails, and the others go on.
HANGS_S = 240.0


@dataclass
class Findings:
    """By control, what was wrong in this state, and in which part of the play."""

    wrong: dict[str, tuple[str, BaseException]] = field(default_factory=dict)

    async def note(
        self, control: str, part: str, step: Callable[[], Awaitable[None]]
    ) -> None:
        """Run a part for a control that has not failed yet."""
        if control in self.wrong:
            return
        try:
            async with asyncio.timeout(HANGS_S):
                await step()
        except Exception as error:  # noqa: BLE001 - the cell's own test raises it
            self.wrong[control] = part, error

    def judge(self, control: str) -> None:
        """Raise what was wrong, if anything."""
        if control in self.wrong:
            part, error = self.wrong[control]
            error.add_note(f"{control}, {part}")
            raise error


async def play(rig: Rig, state: str, declared: Mapping[str, str]) -> Findings:
    """Act out `state` for all controls at once; `declared` are their outcomes in it."""
    findings = Findings()
    async with OneByOne() as client, AsyncExitStack() as stack:
        made = {row: CONTROLS[row](rig, client, stack) for row in declared}

        async def part(name: str, of: Callable[[str], str]) -> None:
            steps = {row: step_of(control, of(row)) for row, control in made.items()}
            quiet = [row for row in made if made[row].quiet]
            await asyncio.gather(
                *(findings.note(row, name, steps[row]) for row in made.keys() - quiet)
            )
            for row in quiet:
                await findings.note(row, name, steps[row])

        await part("before", lambda row: "before")
        async with STATES[state](rig):
            await part("in it", lambda row: table.method(declared[row]))
        await part("after", lambda row: "after")
    await findings.note(BOOKS, "after", lambda: balance(rig, client.rows))
    return findings


async def balance(rig: Rig, rows: Sequence[Row]) -> None:
    """Nothing is lost, nothing is held, and nobody crashed."""
    # A replay is no request of its own: its first one has the row.
    own = [row for row in rows if "idempotent-replayed" not in row.headers]
    rig.settled(*own)
    assert rig.compare_send_log(*own) > 0
