"""Rows about who calls and what may be spent: keys, quota, budgets, minute limits."""

import asyncio
import re
import secrets

from tests.faults.degraded.control import Control, whole
from tests.faults.degraded.states import until
from tests.faults.web import Web
from tests.live.world import Answer

ALONE = re.compile(r"^valuecanvas_limits_alone_total (\S+)", re.M)
LATER = 60.0


class KnownKeys(Control):
    row = "API keys in use"

    async def before(self) -> None:
        offer = self.rig.provide("ok-12")
        self.model, self.key = offer.model, self.caller(daily_requests=100)
        whole(*await self.ask_all(offer, self.key))

    async def works(self) -> None:
        for answer in await self.get_all("/v1/models", self.key):
            assert answer.status == 200
            assert self.model in {one["id"] for one in answer.json["data"]}


class NewKeys(Control):
    row = "API keys not seen yet"

    async def works(self) -> None:
        for web in self.rig.webs:
            answer = await self.get(web, "/v1/models", self.rig.new_key())
            assert answer.status == 200, answer.body
            answer = await self.get(web, "/v1/models", self.made_up())
            assert answer.status == 401, answer.body

    async def closed(self) -> None:
        """A good key and a made-up one look the same then."""
        keys = self.rig.new_key(), self.made_up()
        asked = [
            self.get(web, "/v1/models", key) for web in self.rig.webs for key in keys
        ]
        for answer in await asyncio.gather(*asked):
            self.unavailable(answer)

    @staticmethod
    def unavailable(answer: Answer) -> None:
        assert answer.status == 503, answer.body
        assert answer.error["type"] == "service_unavailable_error"
        assert answer.headers["retry-after"] == "1"

    @staticmethod
    def made_up() -> str:
        return f"vc-{secrets.token_hex(6)}-{secrets.token_urlsafe(32)}"


class Quota(Control):
    row = "daily quota"

    async def before(self) -> None:
        self.offer = self.rig.provide("ok-12")
        self.spent = self.caller(daily_requests=1)
        whole(await self.ask(self.offer, self.spent))
        self.customer, self.left = self.rig.new_customer(daily_requests=1)
        await self.make_known(self.left)

    async def works(self) -> None:
        key = self.caller(daily_requests=2)
        whole(*await self.ask_all(self.offer, key))
        for row in [
            *await self.ask_all(self.offer, key),
            *await self.ask_all(self.offer, self.spent),
        ]:
            assert (row.status, row.code) == (429, "insufficient_quota"), row
            assert int(row.headers["retry-after"]) > 0
            assert row.headers["x-should-retry"] == "false"

    async def closed(self) -> None:
        reached = self.rig.reached(self.offer)
        await self.refused_all(self.offer, self.left)
        assert self.rig.reached(self.offer) == reached

    async def after(self) -> None:
        """What was refused has taken no unit: the only one is there."""
        whole(await self.ask(self.offer, self.left))
        assert self.rig.counter(self.customer)[0] == 1
        await self.works()


class Budgets(Control):
    row = "budgets"

    async def before(self) -> None:
        self.offer = self.rig.provide("ok-12")
        self.tight = self.budgeted("0.000001")
        self.roomy = self.budgeted("1")
        await self.make_known(self.roomy)

    def budgeted(self, limit: str) -> str:
        customer, key = self.rig.new_customer(daily_requests=1000)
        self.rig.budget(target=customer, limit=limit)
        return key

    async def works(self) -> None:
        whole(*await self.ask_all(self.offer, self.roomy))
        reached = self.rig.reached(self.offer)
        for row in await self.ask_all(self.offer, self.tight):
            assert (row.status, row.code) == (429, "budget_exceeded"), row
        assert self.rig.reached(self.offer) == reached

    async def closed(self) -> None:
        await self.refused_all(self.offer, self.roomy)


class MinuteLimits(Control):
    row = "minute limits"
    quiet = True

    async def before(self) -> None:
        self.offer = self.rig.provide("ok-12")
        self.used_up = await self.limited()
        whole(await self.ask(self.offer, self.used_up))

    async def limited(self) -> str:
        """A caller with one request a minute."""
        key = self.caller(daily_requests=1000, requests_per_minute=1)
        await self.make_known(key)
        return key

    async def refused(self, key: str) -> None:
        for row in await self.ask_all(self.offer, key):
            assert (row.status, row.code) == (429, "rate_limit_exceeded"), row
            assert 0 < int(row.headers["retry-after"]) <= LATER + 2

    async def works(self) -> None:
        key = await self.limited()
        whole(await self.ask(self.offer, key))
        await self.refused(key)

    async def same(self) -> None:
        """The minute is counted before the ledger is asked."""
        await self.refused(self.used_up)

    async def open_alone(self) -> None:
        alone = [await self.alone(web) for web in self.rig.webs]
        key = await self.limited()
        whole(*await self.ask_all(self.offer, key))
        await self.refused(key)
        for web, before in zip(self.rig.webs, alone, strict=True):
            assert await self.alone(web) > before

    async def alone(self, web: Web) -> float:
        """How often the process has counted by itself: what the alarm looks at."""
        old = text = (await self.get(web, "/metrics")).body
        while text == old:  # written a second ago at most, so not after what just was
            text = (await self.get(web, "/metrics")).body
        found = ALONE.search(text.decode())
        return float(found.group(1)) if found else 0.0

    async def open_anew(self) -> None:
        whole(await self.ask(self.offer, self.used_up))
        await self.refused(self.used_up)


class UnderWay(Control):
    """Answers that had begun when it broke."""

    row = "answers under way"

    async def before(self) -> None:
        self.customer, self.key = self.rig.new_customer(daily_requests=1000)
        self.tap, self.served = await self.faucet()
        self.tasks = [
            self.begin(self.ask(self.served, self.key, web=web, stream=stream))
            for web in range(len(self.rig.webs))
            for stream in (True, False)
        ]
        for number in range(1, len(self.tasks) + 1):
            pour = await self.tap.call(number)
            if pour.streamed:
                await pour.send()
                await pour.say("Hel")

        async def all_flow() -> bool:
            rows = [row for row in self.client.rows if row.model == self.served.model]
            return sum(bool(row.tokens) for row in rows) == len(self.tasks) // 2

        await until(all_flow)

    async def works(self) -> None:
        """They end in full."""
        for pour in self.tap.calls:
            if pour.over.is_set():
                continue
            if pour.streamed:
                await pour.say("lo.")
                await pour.finish()
            else:
                await pour.whole("Hello.")
        self.rows = [await task for task in self.tasks]
        whole(*self.rows)
        assert {row.text for row in self.rows} == {"Hello."}
        assert all(row.done for row in self.rows if row.stream)

    async def degraded_settled_late(self) -> None:
        """They end in full all the same."""
        await self.works()

    async def after(self) -> None:
        """And each is billed, once."""
        for row in self.rows:
            billed = self.rig.usage(row.request_id)
            assert billed.status == "ok"
            assert billed.cost_usd > 0
        assert len(self.rig.usage_rows(self.customer)) == len(self.rows)
        assert self.rig.counter(self.customer)[0] == len(self.rows)
