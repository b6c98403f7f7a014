"""The last unit of a minute limit has one taker, in however many processes they ask."""

import asyncio

import pytest

from llm.limits.limiter import SCRIPT, Limiter
from llm.limits.types import Hold, LimitKind, LimitRefused, MinuteUse, Subject
from tests.llm.limit_desk import OpenLimiter, Process, customer, open_process
from valuecanvas.core.storage.store import Script

__all__ = ["open_process"]
RUNNERS = 200
LIMIT = 5
ONE_OF_EACH = (
    {"requests": LIMIT},
    {"tokens": LIMIT * 10},
    {"concurrent": LIMIT},
)
each_limit = pytest.mark.parametrize("limits", ONE_OF_EACH, ids=list(LimitKind))


class Careless(Limiter):
    """Looks, lets others look too, and counts after that."""

    LOOK = Script.make("""
        local used = {0, 0, redis.call('ZCARD', KEYS[1] .. ':held')}
        for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
          local requests, tokens = string.match(value, '^(%d+):(%d+)$')
          used[1], used[2] = used[1] + requests, used[2] + tokens
        end
        return used
    """)

    async def _take(
        self, subject: Subject, request_id: str, tokens: int, lease_ms: int
    ) -> Hold | LimitRefused:
        used = await self._store.run(self.LOOK, self._key(subject.name))
        for kind, count, more in zip(LimitKind, used, (1, tokens, 1), strict=True):
            limit = getattr(subject.limits, kind)
            if limit is not None and count + more > limit:
                return LimitRefused(subject, kind, limit, 0, 1.0)
        key = self._key(subject.name)
        most = 10**6
        asked = "take", request_id, tokens, lease_ms, most, most, most
        reply = await self._store.run(SCRIPT, key, *asked)
        return Hold(subject, *reply[1:], False)  # type: ignore[call-arg]


async def race(processes: list[Process], *subjects: Subject) -> list[MinuteUse]:
    """The winners among 200 requests, dealt out to the processes."""
    answers = await asyncio.gather(
        *(
            processes[number % len(processes)].take(*subjects, tokens=10)
            for number in range(RUNNERS)
        )
    )
    return [answer for answer in answers if isinstance(answer, MinuteUse)]


@each_limit
async def test_limit__200_requests_for_the_last_unit__one_wins(
    open_process: OpenLimiter, limits: dict[str, int]
):
    processes, who = [open_process(), open_process()], customer(**limits)
    for _ in range(LIMIT - 1):
        await processes[0].taken(who, tokens=10)
    assert len(await race(processes, who)) == 1


@each_limit
async def test_limit__200_first_requests__are_granted_exactly(
    open_process: OpenLimiter, limits: dict[str, int]
):
    processes, who = [open_process(), open_process()], customer(**limits)
    assert len(await race(processes, who)) == LIMIT


@each_limit
async def test_limit__looked_at_and_counted_in_two_steps__is_seen_to_be_passed(
    open_process: OpenLimiter, limits: dict[str, int]
):
    """The twin with the guard off: the races above can fail."""
    processes = [open_process(kind=Careless), open_process(kind=Careless)]
    who = customer(**limits)
    assert len(await race(processes, who)) > LIMIT


async def test_limits__of_customer_and_key_in_a_race__both_hold(
    open_process: OpenLimiter,
):
    processes = [open_process(), open_process()]
    who, keys = customer(requests=LIMIT), [customer(requests=3) for _ in range(3)]
    won = await asyncio.gather(*(race(processes, who, key) for key in keys))
    assert sum(map(len, won)) <= LIMIT
    assert all(len(winners) <= 3 for winners in won)
    # What a refusal by one of the two had counted was given back.
    for process in processes:
        await process.limiter.close()
    for _ in range(LIMIT - sum(map(len, won))):
        await processes[0].taken(who)
    await processes[0].refused(who)
