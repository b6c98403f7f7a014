"""Rows about what surrounds requests: breakers, configuration, probes, the admin."""

import asyncio
from functools import partial

from django.contrib.auth import get_user_model
from django.test import Client as Browser

from llm.models import BreakerEvent, Model
from tests.faults.degraded.control import Control, whole
from tests.faults.degraded.states import until
from tests.faults.rig import Offer
from tests.faults.web import Web
from tests.live.world import Answer, unique

IN_A_ROW = 5
PAGE = "/admin/billing/tier/"
BREAKERS = "/admin/llm/breakeroverride/states/"


class Breakers(Control):
    row = "circuit breakers"

    async def before(self) -> None:
        self.offer = self.rig.provide("status-500")
        await self.fail(self.offer)
        await self.rejected(self.offer, 0, 1)

    async def fail(self, offer: Offer) -> None:
        """Failures in a row at the first process, until its breaker is open."""
        for _ in range(IN_A_ROW):
            row = await self.ask(offer)
            assert row.status == 502, row

    async def state(self, offer: Offer, web: int) -> str:
        shown = (await self.rig.health(self.rig.webs[web]))["providers"]
        key = offer.providers[0]
        return str(next(one["breaker"] for one in shown if one["provider"] == key))

    async def rejected(self, offer: Offer, *webs: int) -> None:
        """Refused at once by these processes, without a call."""
        reached = self.rig.reached(offer)
        for web in webs:
            await until(partial(self.is_open, offer, web))
            row = await self.ask(offer, web=web)
            assert (row.status, row.code) == (503, "no_provider_available"), row
            assert int(row.headers["retry-after"]) > 0
        assert self.rig.reached(offer) == reached

    async def is_open(self, offer: Offer, web: int) -> bool:
        return await self.state(offer, web) == "open"

    async def works(self) -> None:
        """What one process has found out holds for all."""
        offer = self.rig.provide("status-500")
        await self.fail(offer)
        await self.rejected(offer, 0, 1)
        assert self.rig.reached(offer) == IN_A_ROW
        await self.recorded(offer)

    async def recorded(self, offer: Offer) -> None:
        async def look() -> bool:
            events = BreakerEvent.objects.filter(provider=offer.providers[0])
            return self.rig.db(events.filter(to_state="open").exists)

        await until(look)

    async def same(self) -> None:
        for web in range(len(self.rig.webs)):
            assert await self.is_open(self.offer, web)

    async def degraded_alone(self) -> None:
        offer = self.rig.provide("status-500")
        await self.fail(offer)
        await self.rejected(offer, 0)
        assert await self.state(offer, 1) == "closed"
        assert (await self.ask(offer, web=1)).status == 502
        await self.recorded(offer)

    async def degraded_anew(self) -> None:
        """An open one is closed, and opens again once that fails as before."""
        await self.fail(self.offer)
        await self.rejected(self.offer, 0, 1)


class Configuration(Control):
    row = "configuration"

    async def before(self) -> None:
        self.old = await self.made_known()
        self.new = ""

    async def made_known(self) -> str:
        """The name of a model that each process knows."""
        offer = self.rig.provide("ok-12")
        whole(*await self.ask_all(offer))
        return offer.model

    def listed(self, answer: Answer) -> set[str]:
        assert answer.status == 200, answer.body
        return {one["id"] for one in answer.json["data"]}

    def disable(self, name: str) -> None:
        def save() -> None:
            model = Model.objects.get(pk=name)
            model.enabled = False
            model.save()

        self.rig.db(save)

    async def works(self) -> None:
        """A change governs the very next request, in each process."""
        offer = self.rig.provide("ok-12")
        whole(*await self.ask_all(offer))
        self.disable(offer.model)
        for row in await self.ask_all(offer):
            assert row.status == 404, row

    async def same(self) -> None:
        new = self.rig.provide("ok-12").model
        for answer in await self.get_all("/v1/models", self.rig.key):
            assert {new, self.old} <= self.listed(answer)
        self.disable(new)
        for answer in await self.get_all("/v1/models", self.rig.key):
            assert new not in self.listed(answer)

    async def degraded_as_last_loaded(self) -> None:
        self.new = self.rig.provide("ok-12").model
        for answer in await self.get_all("/v1/models", self.rig.key):
            assert self.old in self.listed(answer)

    async def after(self) -> None:
        for answer in await self.get_all("/v1/models", self.rig.key):
            assert {self.old, self.new} - {""} <= self.listed(answer)
        await self.works()


class Liveness(Control):
    row = "`/health/live`"

    async def works(self) -> None:
        for answer in await self.get_all("/health/live"):
            assert answer.status == 200


class Readiness(Control):
    row = "`/health/ready`"

    async def works(self) -> None:
        await self.answers(200, status="ok", database="ok", redis="ok")

    async def answers(self, code: int, *, status: str, **checks: str) -> None:
        for answer in await self.get_all("/health/ready"):
            assert answer.status == code
            found = answer.json
            # The age of a backup does not depend on these states.
            assert found["checks"].pop("backup")
            assert found == {"status": status, "checks": checks}

    async def closed(self) -> None:
        """As soon as something waits for the ledger in vain."""
        for web in self.rig.webs:
            await until(partial(self.says_no, web))

    async def says_no(self, web: Web) -> bool:
        answer = await self.get(web, "/health/ready")
        checks = {"database": "unavailable", "redis": "ok"}
        return (answer.status, answer.json) == (
            503,
            {"status": "unavailable", "checks": checks},
        )

    async def degraded_says_so(self) -> None:
        await self.answers(200, status="ok", database="ok", redis="passed by")


def assert_away(answer: Answer) -> None:
    """The page that says that the database does not answer."""
    assert answer.status == 503, answer
    assert answer.headers["retry-after"] == "1"
    assert b"database" in answer.body


class Admin(Control):
    row = "admin"

    async def before(self) -> None:
        self.session = self.rig.db(self.log_in)
        self.tasks: list[asyncio.Task[Answer]] = []
        await self.works()

    @staticmethod
    def log_in() -> str:
        browser = Browser()
        users = get_user_model().objects
        browser.force_login(users.create_superuser(unique("operator")))
        return browser.cookies["sessionid"].value

    async def pages(self, path: str) -> list[Answer]:
        return [await self.page(number, path) for number in range(len(self.rig.webs))]

    async def page(self, web: int, path: str) -> Answer:
        return await self.get(self.rig.webs[web], path, sessionid=self.session)

    async def works(self) -> None:
        for answer in await self.pages(PAGE):
            assert answer.status == 200, answer
        for answer in await self.pages(BREAKERS):
            assert answer.status == 200
            assert b"Current state" in answer.body

    async def closed(self) -> None:
        for answer in await self.pages(PAGE):
            assert_away(answer)

    async def degraded_without_breakers(self) -> None:
        for answer in await self.pages(PAGE):
            assert answer.status == 200
        for answer in await self.pages(BREAKERS):
            assert answer.status == 200
            assert b"Redis does not answer" in answer.body

    async def degraded_waits(self) -> None:
        webs = range(len(self.rig.webs))
        self.tasks = [asyncio.create_task(self.page(web, PAGE)) for web in webs]
        for task in self.tasks:
            self.stack.callback(task.cancel)

    async def after(self) -> None:
        for task in self.tasks:
            answer = await task
            if answer.status != 200:
                # It had waited for as long as it may.
                assert_away(answer)
        await self.works()
