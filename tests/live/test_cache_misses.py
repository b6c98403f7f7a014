"""What is not stored, not served from the store, and a store that is not there."""

import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
import zstandard
from pytest_django import Settings

from llm import runtime
from llm.runtime import Runtime
from tests.live.inside import DONE, ask, chunk, event, upstream
from tests.live.server import LiveServer, live_server
from tests.live.shared import how, offered, said, valkey
from tests.live.world import Answer, World, unique
from valuecanvas.embedded.processes import free_port

pytestmark = pytest.mark.live

PLANTED = 100
# What an answer may end with, other than of its own accord.
UNNATURAL = ["filter", "error-event@5", "truncated@6", "malformed@5"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behaviour", UNNATURAL)
def test_answer__not_ended_of_its_own_accord__is_not_stored(
    world: World, behaviour: str, stream: bool
) -> None:
    with offered(world, behaviour) as offer:
        for count in (1, 2):
            answer = offer.ask(stream=stream)
            assert answer.headers.get("x-valuecanvas-cache") != "hit"
            assert offer.calls == count


@pytest.mark.parametrize("stream", [False, True])
def test_answer__cut_by_its_limit__is_not_stored(world: World, stream: bool) -> None:
    with offered(world, "drip@0ms:50") as offer:
        for _ in range(2):
            assert how(offer.ask(max_tokens=3, stream=stream)) == "miss"
        assert offer.calls == 2


@pytest.mark.parametrize("stream", [False, True])
def test_answer__larger_than_the_store_takes__is_not_stored(
    world: World, stream: bool
) -> None:
    large = unique("x" * 262_144)
    key = world.new_customer(max_output_tokens=200_000)[1]
    with offered(world, "echo", max_output_tokens=200_000) as offer:
        messages = [{"role": "user", "content": large}]
        for count in (1, 2):
            answer = offer.ask(key=key, stream=stream, messages=messages)
            assert how(answer) == "miss"
            assert said(answer) == large
            assert offer.calls == count


def test_answer__refused_by_the_provider__is_not_stored(world: World) -> None:
    with offered(world, "status-400") as offer:
        assert [offer.ask().status for _ in range(2)] == [400, 400]
        assert offer.calls == 2


def test_stored__planted_or_changed_in_redis__is_never_served(world: World) -> None:
    source, missed = random.Random(5), 0
    with offered(world) as offer, offered(world) as other, valkey() as client:
        before = stored(client)
        text = said(offer.ask())
        name = added(client, before)
        genuine = client.get(name)
        other.ask()
        foreign = client.get(added(client, before | {name}))
        for _ in range(PLANTED):
            evil = planted(source, genuine, foreign)
            client.set(name, evil)
            answer = offer.ask()
            assert said(answer) == text
            if how(answer) == "miss":
                missed += 1
                # What may not be used is replaced by what the provider says.
                while client.get(name) == evil:
                    pass
        assert how(offer.ask()) == "hit"
    # A flipped bit may mean nothing to zstd.
    assert missed > PLANTED * 0.9
    assert offer.calls == 1 + missed
    assert "cache.refused" in world.server_log()


def planted(source: random.Random, genuine: bytes, foreign: bytes) -> bytes:
    """A value that the gateway did not store there."""
    spot = source.randrange(len(genuine))
    flipped = bytes([genuine[spot] ^ (1 << source.randrange(8))])
    kinds = [
        foreign,
        source.randbytes(200),
        genuine[:spot],
        genuine[:spot] + flipped + genuine[spot + 1 :],
        zstandard.compress(b'{"body": "evil", "mac": "%d"}' % spot),
    ]
    return source.choice(kinds)


def stored(client: "redis.Redis") -> set[bytes]:
    """The names of the stored answers of this worker's server."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return set(client.scan_iter(f"live-{worker}:cache:*"))


def added(client: "redis.Redis", before: set[bytes]) -> bytes:
    """The one that is new since; answers are stored after they were sent."""
    while not (new := stored(client) - before):
        pass
    (name,) = new
    return name


@pytest.fixture(scope="module")
def without_redis(
    server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A gateway whose Redis is not there."""
    env = {**server_env, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with live_server(tmp_path_factory.mktemp("no-redis"), env) as running:
        yield running


def test_redis_away__same_request__is_a_miss_and_served(
    world: World, without_redis: LiveServer
) -> None:
    world.port = without_redis.port
    with offered(world) as offer:
        for stream in (False, True, False):
            answer = offer.ask(stream=stream)
            assert how(answer) == "miss"
            assert said(answer)
        assert offer.calls == 3
    assert world.reserved() == 0


@pytest.fixture
async def gateway(
    transactional_db: None, settings: Settings, tmp_path: Path
) -> AsyncIterator[Runtime]:
    """As everywhere, but patient with Redis."""
    settings.REDIS_PREFIX = unique("inside")
    settings.JOURNAL_DIR = tmp_path / "journal"
    settings.REDIS_TIMEOUT_MS = 2000
    started = await runtime.start()
    yield started
    await started.stop()


async def test_setting__cache_off__passes_it_by(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    settings.LLM_CACHE_ENABLED = False
    with offered(indoors) as offer:
        for count in (1, 2):
            answer = await ask(indoors, gateway, offer.model, text=offer.text)
            assert how(answer) == "bypass"
            assert offer.calls == count


async def streamed(world: World, gateway: Runtime, *parts: bytes) -> list[Answer]:
    """The answers to one chat asked twice, of a provider that sends `parts`."""
    async with upstream(*parts) as url:
        served = world.serve_at((url, "m"))
        return [
            await ask(world, gateway, served.model, text="Same.", stream=stream)
            for stream in (True, True)
        ]


ROLE, HELLO, END = chunk(role="assistant"), chunk(content="Hi."), chunk()


@pytest.mark.parametrize(
    "odd",
    [
        event({"choices": [{"delta": {"audio": {"data": "AAAA"}}}]}),
        event({"choices": [{"delta": {"tool_calls": [{"index": 10**9}]}}]}),
        event({"choices": [{"delta": {"tool_calls": [5]}}]}),
        event({"choices": [{"delta": {"content": ["x"]}}]}),
    ],
    ids=["sound", "millions of calls", "no call", "no text"],
)
async def test_stream__in_a_form_that_cannot_be_joined__passes_but_is_not_stored(
    indoors: World, gateway: Runtime, odd: bytes
) -> None:
    for answer in await streamed(indoors, gateway, ROLE, HELLO, odd, END, DONE):
        assert how(answer) == "miss"
        assert odd in answer.body
        assert answer.body.endswith(DONE)
        assert b"Hi." in answer.body


async def test_stream__function_called_in_pieces__is_joined_and_replayed(
    indoors: World, gateway: Runtime
) -> None:
    pieces = [
        chunk(function_call={"name": "f", "arguments": ""}),
        chunk(function_call={"arguments": '{"a":'}),
        chunk(function_call={"arguments": "1}"}),
    ]
    end = event({"choices": [{"delta": {}, "finish_reason": "function_call"}]})
    one, two = await streamed(indoors, gateway, ROLE, *pieces, end, DONE)
    assert (how(one), how(two)) == ("miss", "hit")
    assert b'"function_call":{"name":"f","arguments":"{\\"a\\":1}"}' in two.body


async def test_stream__logprobs__are_replayed(indoors: World, gateway: Runtime) -> None:
    def likely(text: str) -> bytes:
        choice = {
            "delta": {"content": text},
            "logprobs": {"content": [{"token": text}]},
        }
        return event({"choices": [choice]})

    one, two = await streamed(
        indoors, gateway, ROLE, likely("a"), likely("b"), END, DONE
    )
    assert (how(one), how(two)) == ("miss", "hit")
    assert b'"logprobs":{"content":[{"token":"a"},{"token":"b"}]}' in two.body
