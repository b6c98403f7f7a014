"""T9: the provider cannot be reached, is slow, or stalls: failover, bounded in time."""

import socket
from contextlib import ExitStack

import pytest

from tests.faults.counts import FULL, either
from tests.faults.report import milliseconds
from tests.faults.rig import Rig
from tests.faults.toxic import Down, Fault, ResetPeer, Toxic
from tests.faults.traffic import Client, arrivals

REQUESTS = either(6, 500)
RATE = 50


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "where", ["refused", "no_such_name", "bad_tls", "down", "reset_on_connect"]
)
async def test_connect__fails__is_answered_by_the_next_provider(
    rig: Rig, where: str, stream: bool
) -> None:
    second = rig.provide("ok-12")
    faults: dict[str, Fault] = {"down": Down(), "reset_on_connect": ResetPeer()}
    stack = ExitStack()
    toxic = Toxic.before(rig.demo.url)
    stack.callback(toxic.close)
    # Bound and not listened at: nobody else can take it meanwhile.
    unheard = stack.enter_context(socket.socket())
    unheard.bind(("127.0.0.1", 0))
    urls = {
        "refused": f"http://127.0.0.1:{unheard.getsockname()[1]}/v1",
        "no_such_name": "http://no-such-provider.invalid/v1",
        "bad_tls": rig.demo.url.replace("http:", "https:"),
        "down": toxic.url(rig.demo.url),
        "reset_on_connect": toxic.url(rig.demo.url),
    }
    with stack:
        if where in faults:
            toxic.set(faults[where])
        offer = rig.serve_at((urls[where], "ok-12"), (rig.demo.url, second.upstream[0]))
        async with Client() as client:
            seen = await arrivals(
                [lambda: rig.ask(client, offer, stream=stream)] * REQUESTS, RATE
            )
    assert [row.whole for row in seen] == [True] * REQUESTS
    assert rig.reached(second) == REQUESTS
    rig.settled(*seen)
    failed = sum(len(rig.attempts(row.request_id, 0)) for row in seen)
    rig.case.runs = f"{REQUESTS} requests"
    rig.case.inject(where, max(failed, toxic.injected.total()))
    rig.case.figure("p50", milliseconds((row.took for row in seen), 0.5))
    rig.case.figure("longest", milliseconds((row.took for row in seen), 1))
    assert rig.compare_send_log(*seen) == REQUESTS


SLOW = ["hang", "hang_headers", "stall@0", "stall@1"]
# Seconds. One is the smallest that an operator can set; the second provider has as much.
LIMIT = either(3, 1)


@pytest.mark.parametrize("behaviour", SLOW)
async def test_first_token__does_not_come__is_cut_at_the_limit_and_fails_over(
    rig: Rig, behaviour: str
) -> None:
    count = either(3, 50)
    offer = rig.provide(behaviour, "ok-12", between_tokens_s=LIMIT, first_token_s=LIMIT)
    async with Client() as client:
        seen = await arrivals(
            [lambda: rig.ask(client, offer, stream=True)] * count, RATE
        )
    assert [row.whole and row.done for row in seen] == [True] * count
    assert rig.reached(offer, 1) == count
    rig.case.runs = f"{count} streams"
    rig.case.inject(behaviour, rig.reached(offer))
    slow = [row.took for row in seen if len(rig.attempts(row.request_id, 0)) == 1]
    rig.case.figure(f"longest, limit {LIMIT} s", milliseconds(slow, 1))
    assert all(took >= LIMIT for took in slow)
    assert not FULL or max(slow) <= LIMIT + 0.5
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == count


async def test_stream__stalls_after_content__is_cut_at_the_limit_and_says_so(
    rig: Rig,
) -> None:
    count = either(4, 50)
    offer = rig.provide("stall@6", "ok-12", between_tokens_s=LIMIT, first_token_s=5)
    async with Client() as client:
        seen = await arrivals(
            [lambda: rig.ask(client, offer, stream=True)] * count, RATE
        )
    cut = [row for row in seen if row.code == "stream_interrupted"]
    assert len(cut) == rig.reached(offer)
    assert all(row.tokens == 5 and not row.done and not row.broke for row in cut)
    assert all(row.took >= LIMIT for row in cut)
    assert not FULL or max(row.took for row in cut) <= LIMIT + 0.5
    rig.case.runs = f"{count} streams"
    rig.case.inject("stall", len(cut))
    rig.case.figure(
        f"longest, limit {LIMIT} s", milliseconds((row.took for row in cut), 1)
    )
    # Those that came once the breaker was open were served by the second.
    assert all(row.whole for row in seen if row not in cut)
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == count


async def test_whole_answer__drips_past_the_total_limit__is_cut_and_fails_over(
    rig: Rig,
) -> None:
    count = either(3, 50)
    offer = rig.provide("slow@20s", "ok-12", total_s=LIMIT, first_token_s=LIMIT)
    async with Client() as client:
        seen = await arrivals([lambda: rig.ask(client, offer)] * count, RATE)
    # The deadline is the request's: nothing is left for the second provider.
    late = [row for row in seen if row.status != 200]
    assert {(row.status, row.code) for row in late} == {(504, "upstream_timeout")}
    assert all(row.took >= LIMIT for row in late)
    assert not FULL or max(row.took for row in late) <= LIMIT + 0.5
    rig.case.runs = f"{count} requests"
    rig.case.inject("slow answer", len(late))
    rig.settled(*seen)
    assert rig.counter() == (len(seen) - len(late), rig.counter()[1], 0)
