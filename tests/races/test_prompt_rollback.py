"""A label that was moved governs the next request of every process, also under load."""

import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from billing.models import Usage
from prompts import services
from prompts.models import Prompt
from tests.faults.counts import either
from tests.faults.traffic import Client, Row
from tests.faults.web import Web
from tests.live.world import World, unique
from tests.races.fleet import PROCESSES, Fleet, Step, Timeline, usages

pytestmark = pytest.mark.live
log = logging.getLogger("tests.races")
ADA = services.PromptActor("ada", is_superuser=True)
MOVES = either(20, 100)
# More than two, so that a request that is two moves behind is seen to be.
VERSIONS = 5
SAID = re.compile(r"Words (\d)(?: very)*, era (\d), to (\w+)\.")


@dataclass
class Stored:
    """A prompt of which everything tells the version, and what was in production."""

    prompt: Prompt
    # By version.
    models: list[str]
    timeline: Timeline[int] = field(default_factory=lambda: Timeline(1))
    # What its words came to -> version.
    tokens: dict[int, int] = field(default_factory=dict)

    def move(self) -> None:
        """To the next version; committed when it returns."""
        now = self.timeline.now
        following = now % VERSIONS + 1
        move = partial(services.move_label, self.prompt, "production", following)
        self.timeline.change(following, partial(move, expected=now, actor=ADA))


@dataclass(frozen=True)
class Asked:
    """A request, and what came of it."""

    stored: Stored
    name: str
    web: Web
    row: Row
    # The first of its process after a move.
    after: bool

    @property
    def told(self) -> set[int]:
        """The versions of which the answer has something: of one, if all is well."""
        found = SAID.fullmatch(self.row.text)
        assert found, (self.row.status, self.row.text, self.row.error)
        assert found[3] == self.name
        header = self.row.headers["x-valuecanvas-prompt-version"]
        return {int(found[1]), int(found[2]), int(header)}

    @property
    def stale(self) -> bool:
        return not self.told <= self.stored.timeline.allowed(self.row)

    @property
    def between(self) -> bool:
        """It was on its way while the label was moved."""
        return len(self.stored.timeline.allowed(self.row)) > 1

    def recorded(self, usage: Usage) -> set[int]:
        """The versions that the ledger's row tells of."""
        assert usage.prompt_key == self.stored.prompt.key
        model = self.stored.models.index(usage.model) + 1
        return {usage.prompt_version, model, self.stored.tokens[usage.prompt_tokens]}


@dataclass
class Asker:
    """Asks for the prompts in turn, and keeps all that was asked."""

    client: Client
    world: World
    prompts: list[Stored]
    asked: list[Asked] = field(default_factory=list)

    async def ask(
        self,
        web: Web,
        stored: Stored | None = None,
        *,
        after: bool = False,
        **prompt: int,
    ) -> Row:
        at = len(self.client.rows)
        stored = stored or self.prompts[at // PROCESSES % len(self.prompts)]
        name = unique("n").partition("-")[2]
        wanted = {"id": stored.prompt.key, "variables": {"name": name}, **prompt}
        row = await self.client.chat(
            web.url, self.world.key, "", stream=at % 3 == 0, messages=[], prompt=wanted
        )
        self.asked.append(Asked(stored, name, web, row, after))
        return row


def make_prompt(kind: str, models: list[str]) -> Prompt:
    """Its versions differ in words, defaults, model and number of tokens."""
    prompt = services.create_prompt(key=unique("words"), kind=kind, actor=ADA)
    for number, model in enumerate(models, start=1):
        very = " very" * number if kind == "text" else ""
        words = f"Words {number}{very}, era {{{{era}}}}, to {{{{name}}}}."
        system = {"role": "system", "content": "Be brief." * number}
        messages = [system, {"role": "user", "content": words}]
        services.add_version(
            prompt,
            **({"template": words} if kind == "text" else {"messages": messages}),
            variables=[{"name": "name"}, {"name": "era", "default": str(number)}],
            model=model,
            actor=ADA,
        )
    services.move_label(prompt, "production", 1, expected=None, actor=ADA)
    return prompt


async def asked_for(asker: Asker, fleet: Fleet, stored: Stored) -> None:
    """Each version is asked for by its number, to see what its words come to."""
    for number in range(1, VERSIONS + 1):
        row = await asker.ask(fleet.next_web, stored, version=number)
        assert asker.asked.pop().told == {number}
        usage = fleet.world.usage(row.request_id)
        stored.tokens[usage.prompt_tokens] = number
    assert len(stored.tokens) == VERSIONS


@pytest.fixture(scope="module")
def transactional_db(emptied_once: None) -> None:
    """In place of pytest-django's."""


@pytest.fixture
async def asker(fleet: Fleet) -> AsyncIterator[Asker]:
    world = fleet.world
    models = [world.serve("echo", first_token_s=55).model for _ in range(VERSIONS)]
    prompts = [
        Stored(world.db(make_prompt, kind, models), models) for kind in ("text", "chat")
    ]
    async with Client() as client:
        made = Asker(client, world, prompts)
        for stored in prompts:
            await asked_for(made, fleet, stored)
        yield made


def moves(asker: Asker, count: int) -> Iterator[Step]:
    """The prompts in turn, each from version to version."""
    for number in range(count):
        stored = asker.prompts[number % len(asker.prompts)]
        yield Step(stored.move, partial(asker.ask, stored=stored, after=True))


def behind(asker: Asker) -> list[Asked]:
    return [one for one in asker.asked if one.stale]


def mixed(asker: Asker) -> list[Asked]:
    return [one for one in asker.asked if len(one.told) != 1]


async def test_labels__moved_under_load__govern_the_next_request_of_each_process(
    fleet: Fleet, asker: Asker
) -> None:
    began = time.monotonic()
    await fleet.under_changes(asker.ask, moves(asker, MOVES))
    took = time.monotonic() - began
    assert [one.row for one in asker.asked if not one.row.whole] == []
    assert mixed(asker) == []
    assert behind(asker) == []
    after = Counter(one.web.port for one in asker.asked if one.after)
    assert after == {web.port: MOVES for web in fleet.webs}
    rows = usages(fleet.world, [one.row for one in asker.asked])
    told = [one.told for one in asker.asked]
    recorded = [one.recorded(row) for one, row in zip(asker.asked, rows, strict=True)]
    assert recorded == told
    between = sum(one.between for one in asker.asked)
    log.info("%d moves, %d requests in %.1f s, %d across a move", MOVES, len(asker.asked), took, between)  # fmt: skip


async def test_labels__moved_where_nobody_looks_at_the_epoch__are_seen_to_be_old(
    fleet: Fleet, asker: Asker, unguarded: Callable[[str], None]
) -> None:
    """The twin with the guard off: the test above can fail, in each process."""
    [stored, _] = asker.prompts
    await fleet.everywhere(partial(asker.ask, stored=stored))
    unguarded("epoch")
    fleet.world.db(stored.move)
    await fleet.everywhere(partial(asker.ask, stored=stored))
    assert {one.web.port for one in behind(asker)} == {web.port for web in fleet.webs}
    fleet.guards("on")
    asker.asked.clear()
    await fleet.everywhere(partial(asker.ask, stored=stored))
    assert behind(asker) == []


async def test_versions__put_together_from_two__are_seen_to_be_mixed(
    fleet: Fleet, asker: Asker, unguarded: Callable[[str], None]
) -> None:
    """The twin of what the first test says of mixtures."""
    unguarded("version")
    for stored in asker.prompts:
        await fleet.everywhere(partial(asker.ask, stored=stored))
    assert len(mixed(asker)) == 2 * PROCESSES
