"""Who leads and who follows, in one process and between several, on a real Valkey."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pytest_django import Settings

from llm.cache.directives import Directives
from llm.coalesce import shared_calls, watch
from llm.shared_call import SharedCallState
from tests.llm.sharing_processes import (
    Process,
    gone,
    heard,
    make_entry,
    make_place,
    redis_url,
    renewed,
    until,
)
from valuecanvas.core.errors import Unavailable, UpstreamError

Start = Callable[[], Awaitable[Process]]


@pytest.fixture
async def start(prefix: str) -> AsyncIterator[Start]:
    """Starts processes that know nothing of each other but Redis."""
    made: list[Process] = []

    async def one() -> Process:
        made.append(Process(redis_url(), prefix))
        await made[-1].start()
        return made[-1]

    yield one
    for process in made:
        await process.stop()


@pytest.fixture
async def pair(start: Start) -> tuple[Process, Process]:
    return await start(), await start()


async def test_look__twice_in_one_process__the_first_leads(start: Start) -> None:
    process, place = await start(), make_place()
    looks = await asyncio.gather(*(process.look(place) for _ in range(20)))
    assert [leading for _, _, leading in looks] == [True] + [False] * 19
    assert len({id(shared_call) for _, shared_call, _ in looks}) == 1
    assert await process.leader(place) == process.name


async def test_look__in_two_processes_at_once__one_leads(
    pair: tuple[Process, Process],
) -> None:
    for _ in range(20):
        place = make_place()
        looks = [pair[number % 2].look(place) for number in range(6)]
        assert sum(look[2] for look in await asyncio.gather(*looks)) == 1


async def test_look__nothing_may_be_read__neither_leads_nor_follows(
    start: Start,
) -> None:
    process, place = await start(), make_place()
    await process.lead(place)
    assert await process.look(place, Directives(read=False)) == (None, None, False)


async def test_look__answer_is_stored__gives_it_and_leads_nothing(
    start: Start,
) -> None:
    process, place, entry = await start(), make_place(), make_entry()
    process.cache.put(place, Directives(), entry)
    looks = await asyncio.gather(process.look(place), process.look(place))
    assert looks[0] == (entry, None, False)
    # The second came while the first was asking.
    assert looks[1][1] is not None
    assert (looks[1][1].state, looks[1][1].entry) == (SharedCallState.COMPLETE, entry)
    assert await process.look(place) == (entry, None, False)


async def test_look__stored_answer_is_of_no_use__leads_and_replaces_it(
    start: Start,
) -> None:
    process, place = await start(), make_place()
    process.cache.put(place, Directives(), make_entry(at=5.0))
    young = Directives(max_age_s=60)
    found, shared_call, leading = await process.look(place, young)
    assert (found, leading) == (None, True)
    assert shared_call is not None


async def test_follow__events_and_the_end__come_as_the_leader_has_them(
    pair: tuple[Process, Process],
) -> None:
    place, entry = make_place(), make_entry()
    led = await pair[0].lead(place)
    led.add([b"data: 1\n\n", b": \xff\n\n"])
    followed = await pair[1].follow(place)
    assert await until(followed, 2) == [b"data: 1\n\n", ": \ufffd\n\n".encode()]
    led.add([b"data: 2\n\n"])
    assert (await until(followed, 3))[2] == b"data: 2\n\n"
    pair[0].shared_calls.complete(led, entry)
    assert await followed.wait_for_end() is SharedCallState.COMPLETE
    assert followed.entry == entry
    assert led.followers == 1
    await gone(pair[0], place)
    # It is over: the next one leads again.
    await pair[1].lead(place)


async def test_follow__leader_fails__tells_its_error_and_headers(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    led.add([b"data: 1\n\n"])
    followed = await pair[1].follow(place)
    await until(followed, 1)
    error = Unavailable("No.", code="providers_throttled", headers={"Retry-After": "7"})
    pair[0].shared_calls.fail(led, error)
    assert await followed.wait_for_end() is SharedCallState.FAILED
    assert followed.error is not None
    assert followed.error.body() == error.body()
    assert (followed.error.status, followed.error.headers) == (503, error.headers)
    again = followed.error.copy()
    assert again is not followed.error
    assert (again.body(), again.status) == (error.body(), 503)
    again.headers["x-a"] = "b"
    assert "x-a" not in followed.error.headers


async def test_failed__in_the_leaders_own_process__is_a_copy(start: Start) -> None:
    process, place = await start(), make_place()
    led, error = await process.lead(place), UpstreamError("No.")
    process.shared_calls.fail(led, error)
    error.headers["x-only"] = "the leader's"
    assert led.error is not None
    assert led.error.headers == {}


async def test_follow__leader_gives_up__starts_anew(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    followed = await pair[1].follow(place)
    pair[0].shared_calls.fail(led, None)
    assert await followed.wait_for_end() is SharedCallState.LOST
    await gone(pair[1], place)
    await pair[1].lead(place)


async def test_follow__leader_stops_in_good_order__is_told_at_once(
    start: Start, prefix: str
) -> None:
    leader = Process(redis_url(), prefix)
    await leader.start()
    follower, place = await start(), make_place()
    await leader.lead(place)
    followed = await follower.follow(place)
    await leader.stop()
    assert await followed.wait_for_end() is SharedCallState.LOST
    await gone(follower, place)


async def test_follow__what_ended_meanwhile__is_lost_and_its_lead_given_up(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    # Redis names a process that lives, but leads no such thing.
    name = f"{pair[0].store.prefix}:lead:{{{place.key}}}"
    await pair[0].store.command("SET", name, pair[0].name)
    followed = await pair[1].follow(place)
    assert await followed.wait_for_end() is SharedCallState.LOST
    await gone(pair[1], place)
    await pair[1].lead(place)


async def test_give_up__another_process_leads_by_now__is_left_to_it(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    name = f"{pair[0].store.prefix}:lead:{{{place.key}}}"
    await pair[0].store.command("SET", name, pair[1].name)
    pair[0].shared_calls.complete(led, make_entry())
    await pair[0].shared_calls.stop()
    assert await pair[1].leader(place) == pair[1].name


async def test_failed__asked_again_at_once__the_new_lead_is_kept(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    pair[0].shared_calls.fail(led, None)
    # The old lead is not given up yet: Redis still names this process.
    await pair[0].lead(place)
    while pair[0].shared_calls._giving_up:
        await asyncio.sleep(0)
    await pair[1].follow(place)


async def test_follow__leader_was_killed__is_taken_over_long_before_the_lease(
    start: Start, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCH_S", 0.05)
    dead = Process(redis_url(), prefix)
    await dead.start()
    followers, place = [await start(), await start()], make_place()
    led = await dead.lead(place)
    led.add([b"data: 1\n\n"])
    followed = [await one.follow(place) for one in followers]
    for one in followed:
        await until(one, 1)
    await dead.die()
    assert [await one.wait_for_end() for one in followed] == [SharedCallState.LOST] * 2
    looks = [await one.look(place) for one in followers]
    assert [leading for _, _, leading in looks] == [True, False]


async def test_watch__this_process_is_not_heard_either__declares_nobody_dead(
    start: Start, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCH_S", 0.02)
    leader, place = await start(), make_place()
    await leader.lead(place)
    follower = Process(redis_url(), prefix)
    follower.shared_calls._watch.start()
    followed = await follower.follow(place)
    await leader.shared_calls._bus.stop()
    await asyncio.sleep(0.2)
    assert followed.state is SharedCallState.RUNNING
    await follower.stop()


async def test_follow__leader_was_killed__is_lost_after_the_lease(
    start: Start, prefix: str, settings: Settings
) -> None:
    settings.COALESCE_LEASE_S = 2
    dead = Process(redis_url(), prefix)
    follower, place = await start(), make_place()
    # It never started to listen or to beat: as after kill -9.
    await dead.lead(place)
    followed = await follower.follow(place)
    assert await followed.wait_for_end() is SharedCallState.LOST
    await gone(follower, place)
    await follower.lead(place)
    await dead.store.close()


async def test_follow__leader_does_not_answer__is_taken_over_long_before_the_lease(
    start: Start, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_calls, "REPLY_S", 0.05)
    # It has a connection that listens, and does not get a word out: Redis is too slow for it.
    mute, follower, place = await start(), await start(), make_place()
    led = await mute.lead(place)
    monkeypatch.setattr(mute.shared_calls._bus, "send", lambda *_, **__: None)
    followed = await follower.follow(place)
    assert await followed.wait_for_end() is SharedCallState.LOST
    await follower.lead(place)
    mute.shared_calls.complete(led, make_entry())
    await mute.shared_calls.flush()
    assert await follower.leader(place) == follower.name


async def test_follow__leader_falls_silent__is_taken_over_though_it_keeps_its_lease(
    start: Start, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.COALESCE_LEASE_S = 1
    mute, follower, place = await start(), await start(), make_place()
    led = await mute.lead(place)
    led.add([b"data: 1\n\n"])
    followed = await follower.follow(place)
    await until(followed, 1)
    monkeypatch.setattr(mute.shared_calls._bus, "send", lambda *_, **__: None)
    assert await followed.wait_for_end() is SharedCallState.LOST
    await follower.lead(place)


def test_silence__of_the_usual_lease__is_two_beats(settings: Settings) -> None:
    assert shared_calls.silence_s() == pytest.approx(settings.COALESCE_LEASE_S / 3)
    settings.COALESCE_LEASE_S = 2
    assert shared_calls.silence_s() == 2


async def test_lead__held_longer_than_the_lease__is_kept_by_its_beats(
    start: Start, settings: Settings
) -> None:
    settings.COALESCE_LEASE_S = 5
    leader, follower = await start(), await start()
    place = make_place()
    led = await leader.lead(place)
    followed = await follower.follow(place)
    # Longer than a lease is no more than several beats, each of which renews it.
    for _ in range(2):
        await renewed(leader, place)
        await heard(follower)
    assert followed.state is SharedCallState.RUNNING
    assert await leader.leader(place) == leader.name
    leader.shared_calls.complete(led, make_entry())
    assert await followed.wait_for_end() is SharedCallState.COMPLETE


async def test_follow__leader_was_deaf_when_asked__is_asked_again(
    start: Start, prefix: str, settings: Settings
) -> None:
    settings.COALESCE_LEASE_S = 6
    leader = Process(redis_url(), prefix)
    follower, place = await start(), make_place()
    led = await leader.lead(place)
    led.add([b"data: 1\n\n"])
    followed = await follower.follow(place)
    await asyncio.sleep(0.1)
    await leader.start()
    assert await until(followed, 1) == [b"data: 1\n\n"]
    await leader.stop()


async def test_look__cancelled_while_others_wait__they_start_anew(
    start: Start,
) -> None:
    process, place = await start(), make_place()
    looking = asyncio.create_task(process.look(place))
    await asyncio.sleep(0)
    followed = await process.follow(place)
    looking.cancel()
    assert await followed.wait_for_end() is SharedCallState.LOST
    await gone(process, place)
    await process.lead(place)


async def test_lose_followed__process_goes_down__nobody_waits(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    await pair[0].lead(place)
    followed = await pair[1].follow(place)
    pair[1].shared_calls.lose_followed()
    assert followed.state is SharedCallState.LOST


async def test_add__after_the_end__changes_nothing(start: Start) -> None:
    process, place, entry = await start(), make_place(), make_entry()
    led = await process.lead(place)
    process.shared_calls.complete(led, entry)
    led.add([b"late"])
    led.lose()
    assert (led.events, led.state, led.entry) == ([], SharedCallState.COMPLETE, entry)
    assert [batch async for batch in led.follow()] == []


async def test_follow__wait_was_cancelled__others_are_woken_all_the_same(
    start: Start,
) -> None:
    process, place = await start(), make_place()
    led = await process.lead(place)
    waits = [asyncio.create_task(led.wait_for_start()) for _ in range(3)]
    await asyncio.sleep(0)
    waits[1].cancel()
    led.add([b"1"])
    await asyncio.gather(waits[0], waits[2])
    assert waits[1].cancelled() or waits[1].cancelling()


async def test_leave__all_of_a_process__its_leader_hears_it_and_it_may_follow_again(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    led.add([b"data: 1\n\n"])
    followed = await pair[1].follow(place)
    followed.join()
    followed.join()
    await until(followed, 1)
    followed.leave()
    assert followed.state is SharedCallState.RUNNING
    assert led.followers == 1
    followed.leave()
    await led.wait_until_unfollowed()
    assert (led.followers, followed.state) == (0, SharedCallState.LOST)
    again = await pair[1].follow(place)
    assert again is not followed
    assert await until(again, 1) == [b"data: 1\n\n"]
    assert led.followers == 1


async def test_leave__of_a_process_that_does_not_follow__changes_nothing(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    await pair[1].say(pair[0].name, {"t": "leave", "k": place.key, "from": "x"})
    await pair[1].say(pair[0].name, {"t": "leave", "k": "other", "from": "x"})
    followed = await pair[1].follow(place)
    led.add([b"data: 1\n\n"])
    assert await until(followed, 1) == [b"data: 1\n\n"]
    assert led.followers == 1


async def test_passed_by__nobody_follows_what_was_found__its_leader_hears_it(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    led.add([b"data: 1\n\n"])
    followed = await pair[1].follow(place)
    await until(followed, 1)
    followed.join()
    pair[1].shared_calls.decline(followed)
    assert followed.state is SharedCallState.RUNNING
    followed.followers = 0
    pair[1].shared_calls.decline(followed)
    await led.wait_until_unfollowed()
    assert (led.followers, followed.state) == (0, SharedCallState.LOST)
