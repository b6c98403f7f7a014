"""A row of the table: what a control does while all is well, and in each state."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import aiohttp

from tests.faults.rig import Rig
from tests.faults.traffic import LONGEST_S, Client, Row
from tests.faults.web import Web
from tests.live.faucet import Faucet, open_faucet
from tests.live.world import Answer, Served

# No answer of ours takes as long; what is under way must outlive every state.
PATIENT = {"first_token_s": 600, "between_tokens_s": 600}
PATIENT |= {"total_stream_s": 1200, "total_s": 600}


class OneByOne(Client):
    """A connection for each request: a kept one may be closed as it is used again."""

    async def __aenter__(self) -> "OneByOne":
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=LONGEST_S),
        )
        return self


class Control(ABC):
    """Made anew for each state: `before` it, its outcome in it, and `after` it.

    Each outcome that the table declares is a method: `closed`, `open_anew`.
    """

    row: ClassVar[str]
    # It is looked at while nobody changes the configuration, after the others.
    quiet: ClassVar[bool] = False

    def __init__(self, rig: Rig, client: Client, stack: AsyncExitStack) -> None:
        self.rig = rig
        self.client = client
        self.stack = stack

    async def before(self) -> None:
        """What must be there before something breaks."""
        return

    @abstractmethod
    async def works(self) -> None:
        """All that it promises while all is well; twice in a row, if need be."""

    async def same(self) -> None:
        """The state makes no difference."""
        await self.works()

    async def after(self) -> None:
        """It has recovered by itself, in each process."""
        await self.works()

    # What the rows have in common

    async def ask(
        self, served: Served, key: str = "", *, web: int = 0, **options: Any
    ) -> Row:
        """A chat at the process of that number."""
        url = self.rig.webs[web].url
        return await self.rig.ask(self.client, served, key, url=url, **options)

    async def ask_all(self, served: Served, key: str = "", **options: Any) -> list[Row]:
        """A chat at each process, one after the other."""
        return [
            await self.ask(served, key, web=number, **options)
            for number in range(len(self.rig.webs))
        ]

    async def get(self, web: Web, path: str, key: str = "", **cookies: str) -> Answer:
        """One GET at a process."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with (
            aiohttp.ClientSession(cookies=cookies) as session,
            session.get(web.url + path, headers=headers, allow_redirects=False) as got,
        ):
            found = {name.lower(): value for name, value in got.headers.items()}
            return Answer(got.status, found, await got.read())

    async def get_all(self, path: str, key: str = "") -> list[Answer]:
        return [await self.get(web, path, key) for web in self.rig.webs]

    async def refused_all(self, served: Served, key: str = "", **options: Any) -> None:
        """Each process refuses at once what it cannot write down; it costs nothing."""
        webs = range(len(self.rig.webs))
        asked = [self.ask(served, key, web=web, **options) for web in webs]
        for row in await asyncio.gather(*asked):
            assert (row.status, row.code) == (503, "ledger_unavailable")
            assert row.headers["retry-after"] == "1"

    async def make_known(self, key: str) -> None:
        """Let each process remember this key and all that is configured so far."""
        for answer in await self.get_all("/v1/models", key):
            assert answer.status == 200

    def caller(self, **tier: Any) -> str:
        """The key of a new customer with a tier of its own."""
        return self.rig.new_customer(**tier)[1]

    def begin(self, work: Coroutine[Any, Any, Row]) -> "asyncio.Task[Row]":
        """Let it be under way; whatever fails, it is over with the state."""
        task = asyncio.create_task(work)
        self.stack.callback(task.cancel)
        return task

    async def faucet(self) -> tuple[Faucet, Served]:
        """A model whose answers flow when the test says so."""
        faucet = await self.stack.enter_async_context(open_faucet())
        return faucet, self.rig.serve_at((faucet.url, "m"), **PATIENT)


def whole(*rows: Row) -> None:
    """All were answered in full."""
    bad = [(row.status, row.broke, row.error) for row in rows if not row.whole]
    assert bad == []


def cached(row: Row) -> str:
    """How the cache had it."""
    whole(row)
    return row.headers["x-valuecanvas-cache"]


def outcomes(control: type[Control]) -> set[str]:
    """The outcomes that it can prove."""
    kinds = "same", "closed", "open", "degraded"
    return {name for name in dir(control) if name.partition("_")[0] in kinds}


def step_of(control: Control, name: str) -> Callable[[], Awaitable[None]]:
    """The method that proves the outcome; what is not declared there fails."""
    found: Callable[[], Awaitable[None]] | None = getattr(control, name, None)
    assert found is not None, f"'{control.row}' has no check for '{name}'."
    return found
