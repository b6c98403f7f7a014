"""The load generator counts right answers, and says what was wrong with others."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from bench import load
from bench.plan import Load, Result
from tests.bench.fake_server import always, response, serving
from tests.bench.test_bench_answers import plain, stream

LOAD = Load("http://127.0.0.1:1", ("k1", "k2"), "miss", "ok", "yes", 0, 40, clients=4)


async def test_drive__closed_loop__sends_every_number_once() -> None:
    seen: list[bytes] = []

    async def reply(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(json.loads(request)["messages"][1]["content"])
        writer.write(response(plain()))

    async with serving(reply) as url:
        result = await load.drive(replace(LOAD, url=url))
    assert (result.answered, result.wrong, len(set(seen))) == (40, 0, 40)
    assert len(result.latency_ms) == 40
    assert min(result.latency_ms) > 0


async def test_drive__wrong_answers__are_counted_and_told_once() -> None:
    async with serving(always(response(plain("no")))) as url:
        result = await load.drive(replace(LOAD, url=url))
    assert (result.answered, result.wrong, len(result.problems)) == (0, 40, 1)
    assert "content 'no'" in result.problems[0]


async def test_drive__cache_hits__are_counted() -> None:
    raw = response(plain(), headers="X-ValueCanvas-Cache: hit\r\n")
    async with serving(always(raw)) as url:
        result = await load.drive(replace(LOAD, url=url, kind="hit"))
    assert (result.answered, result.cache_hits) == (40, 40)


async def test_drive__stream__times_its_first_content() -> None:
    async def reply(_request: bytes, writer: asyncio.StreamWriter) -> None:
        body = stream("ye", "s")
        head, rest = body[:20], body[20:]
        writer.write(response(body).removesuffix(body) + head)
        await writer.drain()
        writer.write(rest)

    async with serving(reply) as url:
        result = await load.drive(replace(LOAD, url=url, kind="stream"))
    assert (result.answered, result.wrong) == (40, 0)
    pairs = zip(sorted(result.first_ms), sorted(result.latency_ms), strict=True)
    assert all(0 < first <= whole for first, whole in pairs)


async def test_drive__server_that_hangs_up__every_request_is_wrong() -> None:
    async def reply(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serving(reply) as url:
        result = await load.drive(replace(LOAD, url=url, count=5))
    assert (result.answered, result.wrong) == (0, 5)
    assert "closed mid-answer" in result.problems[0]


async def test_drive__no_server__every_request_is_wrong() -> None:
    result = await load.drive(replace(LOAD, count=3))
    assert (result.answered, result.wrong) == (0, 3)


async def test_drive__silent_server__gives_up_after_the_timeout() -> None:
    async with serving(always(b"")) as url:
        silent = replace(LOAD, url=url, count=2, timeout_s=0.05)
        result = await load.drive(silent)
    assert (result.answered, result.wrong) == (0, 2)
    assert "TimeoutError" in result.problems[0]


async def test_drive__connection_not_kept__next_request_opens_another() -> None:
    raw = response(plain(), headers="connection: close\r\n")

    async def reply(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    async with serving(reply) as url:
        result = await load.drive(replace(LOAD, url=url, clients=1, count=5))
    assert (result.answered, result.wrong) == (5, 0)


async def test_drive__limit_passed__starts_nothing_more() -> None:
    async with serving(always(response(plain()))) as url:
        result = await load.drive(replace(LOAD, url=url, limit_s=-1))
    assert (result.answered, result.wrong) == (0, 0)


async def test_drive__open_loop__slow_answers_delay_no_request() -> None:
    waiting: list[asyncio.StreamWriter] = []

    async def reply(_request: bytes, writer: asyncio.StreamWriter) -> None:
        # Nobody is answered before everybody has asked.
        waiting.append(writer)
        if len(waiting) == 20:
            for one in waiting:
                one.write(response(plain()))

    async with serving(reply) as url:
        result = await load.drive(replace(LOAD, url=url, count=20, rate=2000))
    assert (result.answered, result.wrong) == (20, 0)


def test_arrivals__same_load__same_moments_at_the_rate() -> None:
    steady = replace(LOAD, count=2000, rate=40)
    times = load.arrivals(steady)
    assert times == load.arrivals(replace(steady, url="http://127.0.0.1:2"))
    assert times == sorted(times)
    assert times[-1] == pytest.approx(50, rel=0.1)


def test_serve__loads_on_stdin__one_result_a_line() -> None:
    lines = [replace(LOAD, count=n, timeout_s=1).to_json() for n in (1, 2)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    results = [Result.from_json(line) for line in done.stdout.splitlines()]
    assert [result.wrong for result in results] == [1, 2]


def test_load__json__comes_back_equal() -> None:
    assert Load.from_json(LOAD.to_json()) == LOAD


async def test_drive__fetch__asks_for_the_prompt_and_reads_its_words() -> None:
    raw = response(json.dumps({"template": "yes"}).encode())
    wrong = response(b"{}")
    fetch = replace(LOAD, kind="fetch", model="a.b")
    assert load._request(fetch, "k1", 0).startswith(b"GET /api/prompts/a.b/fetch HTTP")
    async with serving(always(raw)) as url:
        result = await load.drive(replace(fetch, url=url))
    assert (result.answered, result.wrong) == (40, 0)
    async with serving(always(wrong)) as url:
        result = await load.drive(replace(fetch, url=url))
    assert (result.answered, result.wrong) == (0, 40)
    assert "not the fetch" in result.problems[0]


async def test_drive__flags__are_asked_for_by_ofrep() -> None:
    one = replace(LOAD, kind="flag", model="a", expected="on")
    start = b"POST /ofrep/v1/evaluate/flags"
    assert load._request(one, "k1", 0).startswith(start + b"/a HTTP")
    every = replace(one, kind="flags", model="")
    assert load._request(every, "k1", 0).startswith(start + b" HTTP")
    async with serving(always(response(b'{"variant": "on"}'))) as url:
        result = await load.drive(replace(one, url=url))
    assert (result.answered, result.wrong) == (40, 0)
