"""Rows about answers that need no call: cache, coalescing, idempotency keys."""

import asyncio
import secrets

from tests.faults.degraded.control import Control, cached, whole
from tests.faults.degraded.states import until
from tests.faults.traffic import Row
from tests.live.faucet import Faucet
from tests.live.world import Served


class Cache(Control):
    row = "response cache"

    async def before(self) -> None:
        self.offer = self.rig.provide("ok-12")
        self.text = await self.store_one()

    async def store_one(self) -> str:
        """A text whose answer is stored."""
        text = self.rig.text()
        assert cached(await self.ask(self.offer, text=text)) == "miss"
        await self.hit(text, web=1)
        return text

    async def hit(self, text: str, web: int) -> None:
        """Answers are stored in the background."""

        async def look() -> bool:
            row = await self.ask(self.offer, text=text, web=web)
            return cached(row) == "hit" and "age" in row.headers

        await until(look)

    async def works(self) -> None:
        text = await self.store_one()
        reached = self.rig.reached(self.offer)
        for row in await self.ask_all(self.offer, text=text):
            assert cached(row) == "hit"
        assert self.rig.reached(self.offer) == reached

    async def same(self) -> None:
        for row in await self.ask_all(self.offer, text=self.text):
            assert cached(row) == "hit"
        await self.works()

    async def closed(self) -> None:
        await self.refused_all(self.offer, text=self.text)

    async def degraded_passed_by(self) -> None:
        reached = self.rig.reached(self.offer)
        for row in await self.ask_all(self.offer, text=self.text):
            assert cached(row) == "miss"
        assert self.rig.reached(self.offer) == reached + len(self.rig.webs)

    async def degraded_anew(self) -> None:
        assert cached(await self.ask(self.offer, text=self.text)) == "miss"
        await self.hit(self.text, web=1)


class Coalescing(Control):
    row = "coalescing"
    quiet = True

    async def before(self) -> None:
        self.customer, self.key = self.rig.new_customer(daily_requests=1000)
        self.tap, self.served = await self.faucet()
        self.text = self.rig.text()
        await self.make_known(self.key)
        self.lead = self.ask_alike(web=0)
        await self.tap.call()

    def ask_alike(self, web: int, stream: bool = False) -> "asyncio.Task[Row]":
        ask = self.ask(self.served, self.key, web=web, text=self.text, stream=stream)
        return self.begin(ask)

    async def admitted(self, count: int) -> None:
        """Until so many are under way: who is admitted leads or follows."""

        async def look() -> bool:
            return self.rig.reserved(self.customer) == count

        await until(look)

    async def works(self) -> None:
        tap, served = await self.faucet()
        await self.share(tap, served, calls=1)

    async def share(self, tap: Faucet, served: Served, calls: int) -> None:
        """Two alike at each process, one after the other, with so many calls for all."""
        customer, key = self.rig.new_customer(daily_requests=100)
        await self.make_known(key)
        text, tasks = self.rig.text(), []
        for stream in (False, True):
            for web in range(len(self.rig.webs)):
                ask = self.ask(served, key, web=web, text=text, stream=stream)
                tasks.append(self.begin(ask))

                async def entered(count: int = len(tasks)) -> bool:
                    return self.rig.reserved(customer) == count

                await until(entered)
        for number in range(1, calls + 1):
            await (await tap.call(number)).answer("Hello.")
        self.alike(*[await task for task in tasks])
        assert len(tap.calls) == calls

    @staticmethod
    def alike(*rows: Row) -> None:
        whole(*rows)
        assert {row.text for row in rows} == {"Hello."}

    async def same(self) -> None:
        """Who comes after the state shares the call from before it."""
        follower = self.ask_alike(web=1)
        await self.admitted(2)
        await self.pour(1)
        self.alike(await self.lead, await follower)
        await self.works()

    async def pour(self, calls: int) -> None:
        for number in range(1, calls + 1):
            await (await self.tap.call(number)).answer("Hello.")
        assert len(self.tap.calls) == calls

    async def closed(self) -> None:
        await self.refused_all(self.served, self.key, text=self.text)
        await self.pour(1)
        self.alike(await self.lead)

    async def degraded_alone(self) -> None:
        """One call in each process; those under way are still shared within one."""
        mate = self.ask_alike(web=0)
        await self.admitted(2)
        await self.pour(1)
        self.alike(await self.lead, await mate)
        tap, served = await self.faucet()
        await self.share(tap, served, calls=len(self.rig.webs))

    async def degraded_anew(self) -> None:
        """What was under way is shared within its process; new calls as ever."""
        mate, other = self.ask_alike(web=0), self.ask_alike(web=1)
        await self.admitted(3)
        await self.pour(2)
        self.alike(await self.lead, await mate, await other)
        await self.works()


class IdempotencyKeys(Control):
    row = "idempotency keys"

    async def before(self) -> None:
        self.offer = self.rig.provide("echo")
        self.used = await self.use()
        await self.make_known(self.rig.key)

    async def use(self) -> tuple[str, Row]:
        """A key that was used, and the answer."""
        name = secrets.token_hex(8)
        row = await self.keyed(name, self.rig.text(), web=0)
        whole(row)
        assert "idempotent-replayed" not in row.headers
        return name, row

    async def keyed(self, name: str, text: str, web: int) -> Row:
        headers = {"Idempotency-Key": name}
        return await self.ask(self.offer, web=web, text=text, headers=headers)

    async def again(self, name: str, first: Row) -> None:
        """The first answer again, at each process, without a call; and for nobody else."""
        reached = self.rig.reached(self.offer)
        for web in range(len(self.rig.webs)):
            row = await self.keyed(name, first.text, web)
            assert (row.status, row.body) == (200, first.body)
            assert row.headers["idempotent-replayed"] == "true"
            other = await self.keyed(name, self.rig.text(), web)
            assert (other.status, other.code) == (422, "idempotency_key_reused")
        assert self.rig.reached(self.offer) == reached

    async def works(self) -> None:
        await self.again(*await self.use())
        await self.again(*self.used)

    async def closed(self) -> None:
        name, first = self.used
        headers = {"Idempotency-Key": name}
        await self.refused_all(self.offer, text=first.text, headers=headers)
