"""A flag that was killed is off for the next request of every process, under load too."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import pytest

from flags import services
from flags.actor import FlagActor
from flags.models import Flag
from tests.faults.counts import either
from tests.faults.traffic import LONGEST_S, Client, Row
from tests.faults.web import Web
from tests.live.world import Served, unique
from tests.races.fleet import Fleet, Step, Timeline, usages

pytestmark = pytest.mark.live
log = logging.getLogger("tests.races")
ADA = FlagActor("ada")
KILLS = either(10, 100)
# The variants: served while it is alive, and once it is killed.
NEW, OLD = "new", "old"
EVALUATE = "/ofrep/v1/evaluate/flags/"


@dataclass(frozen=True)
class Asked:
    """A chat, or an evaluation over OFREP, and what came of it."""

    web: Web
    row: Row
    # The variants of which the answer has something: one, if all is well.
    told: set[str]
    # The first of its process after a change.
    after: bool


@dataclass
class Asker:
    """Asks for what the flag governs, and keeps all that was asked."""

    client: Client
    session: aiohttp.ClientSession
    fleet: Fleet
    ofrep_key: str
    flag: Flag
    # By variant: which model answers.
    served: dict[str, Served]
    timeline: Timeline[str] = field(default_factory=lambda: Timeline(NEW))
    chats: list[Asked] = field(default_factory=list)
    evaluations: list[Asked] = field(default_factory=list)

    def turn(self) -> None:
        """Kill it, or revive it; committed when it returns."""
        if self.timeline.now == NEW:
            kill = partial(services.kill, self.flag, actor=ADA, reason="An incident.")
            self.timeline.change(OLD, kill)
        else:
            self.timeline.change(NEW, partial(services.revive, self.flag, actor=ADA))

    async def chat(self, web: Web, *, after: bool = False) -> Row:
        """With the model that is meant without the flag."""
        row = await self.client.chat(
            web.url,
            self.fleet.world.key,
            self.served[OLD].model,
            text=unique("Say hello to"),
            stream=len(self.client.rows) % 3 == 0,
        )
        found = row.headers.get("x-valuecanvas-provider", "")
        told = {name for name, one in self.served.items() if found in one.providers}
        self.chats.append(Asked(web, row, told, after))
        return row

    async def evaluate(self, web: Web, *, after: bool = False) -> Row:
        """The flag, over OFREP."""
        row = Row(self.flag.name, stream=False, began=time.monotonic())
        async with self.session.post(
            f"{web.url}{EVALUATE}{self.flag.name}",
            json={"context": {"targetingKey": unique("user")}},
            headers={"Authorization": f"Bearer {self.ofrep_key}"},
        ) as answer:
            found = await answer.json()
        row.took = time.monotonic() - row.began
        assert answer.status == 200, found
        reason = OLD if found["reason"] == "DISABLED" else NEW
        told = {reason, found["variant"], found["value"]}
        self.evaluations.append(Asked(web, row, told, after))
        return row

    async def either(self, web: Web) -> Row:
        """One evaluation to four chats."""
        if len(self.evaluations) * 4 < len(self.chats):
            return await self.evaluate(web)
        return await self.chat(web)

    async def both(self, web: Web, *, after: bool = False) -> None:
        await asyncio.gather(
            self.chat(web, after=after), self.evaluate(web, after=after)
        )

    @property
    def asked(self) -> list[Asked]:
        return [*self.chats, *self.evaluations]

    @property
    def behind(self) -> list[Asked]:
        return [one for one in self.asked if not one.told <= self.allowed(one)]

    def allowed(self, asked: Asked) -> set[str]:
        return self.timeline.allowed(asked.row)

    def recorded(self) -> list[tuple[str, str]]:
        """Of each chat the ledger's variant, and that of the model that it names."""
        rows = usages(self.fleet.world, [one.row for one in self.chats])
        models = {one.model: name for name, one in self.served.items()}
        return [(row.flags[self.flag.name], models[row.model]) for row in rows]


def make_flag(model: str) -> Flag:
    """Everyone gets `model` while it is alive."""
    wanted = {
        "name": unique("flag"),
        "kind": "string",
        "in_gateway": True,
        "percent": 100,
        "default_variant": OLD,
        "off_variant": OLD,
        "variants": [
            {"name": NEW, "value": NEW, "weight": 10_000, "effect": {"model": model}},
            {"name": OLD, "value": OLD},
        ],
    }
    return services.create_flag(wanted, actor=ADA)


@pytest.fixture(scope="module")
def transactional_db(emptied_once: None) -> None:
    """In place of pytest-django's."""


@pytest.fixture
async def asker(fleet: Fleet) -> AsyncIterator[Asker]:
    world = fleet.world
    served = {name: world.serve("ok-5", first_token_s=55) for name in (NEW, OLD)}
    flag = world.db(make_flag, served[NEW].model)
    key = world.new_key(scopes=["flags:evaluate"])
    timeout = aiohttp.ClientTimeout(total=LONGEST_S)
    async with Client() as client, aiohttp.ClientSession(timeout=timeout) as session:
        yield Asker(client, session, fleet, key, flag, served)
    # Of the flags in the gateway the next test has one.
    world.db(partial(services.delete_flag, flag, actor=ADA))


def turns(asker: Asker) -> Iterator[Step]:
    """Killed and revived in turn."""
    for _ in range(2 * KILLS):
        yield Step(asker.turn, partial(asker.both, after=True))


async def test_flag__killed_and_revived_under_load__is_so_for_the_next_request(
    fleet: Fleet, asker: Asker
) -> None:
    began = time.monotonic()
    await fleet.under_changes(asker.either, turns(asker))
    took = time.monotonic() - began
    assert [one.row for one in asker.chats if not one.row.whole] == []
    assert [one for one in asker.asked if len(one.told) != 1] == []
    assert asker.behind == []
    for kind in (asker.chats, asker.evaluations):
        after = Counter(one.web.port for one in kind if one.after)
        assert after == {web.port: 2 * KILLS for web in fleet.webs}
    told = [(variant, variant) for one in asker.chats for variant in one.told]
    assert asker.recorded() == told
    between = sum(len(asker.allowed(one)) > 1 for one in asker.asked)
    log.info("%d kills, %d chats, %d evaluations in %.1f s, %d across a change", KILLS, len(asker.chats), len(asker.evaluations), took, between)  # fmt: skip


async def test_flag__killed_where_nobody_looks_at_the_epoch__is_seen_to_be_alive(
    fleet: Fleet, asker: Asker, unguarded: Callable[[str], None]
) -> None:
    """The twin with the guard off: the test above can fail, in each process."""
    await fleet.everywhere(asker.both)
    unguarded("epoch")
    fleet.world.db(asker.turn)
    await fleet.everywhere(asker.both)
    # Not all: a read that waits too long for a busy database is told of the change.
    assert {one.web.port for one in asker.behind} == {web.port for web in fleet.webs}
    fleet.guards("on")
    asker.chats.clear()
    asker.evaluations.clear()
    await fleet.everywhere(asker.both)
    assert asker.behind == []
