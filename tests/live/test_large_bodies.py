"""Photos and batches of megabytes: taken, bounded in memory, from callers who are known."""

import base64
import random
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from llm import runtime
from llm.admission.load_shedding import FREE_BYTES, LoadLimit, LoadSlot
from llm.request import strict_json
from llm.resolve import plan_checks, resolver
from llm.runtime import Runtime
from tests.live.faucet import open_faucet
from tests.live.inside import CHAT, Exchange, ask, upstream
from tests.live.test_usage_bounds import billed, honest, user
from tests.live.wire import Wire, head
from tests.live.world import World
from tests.llm.metering.test_attachments_counts import SOUNDS, b64, pdf
from valuecanvas.core.errors import BodyTooLarge, Unavailable
from valuecanvas.http import hot_body

pytestmark = pytest.mark.live

MIB = 1_048_576
PHOTO = base64.b64encode(random.Random(3).randbytes(11_000_000)).decode()


def photo(data: str = PHOTO) -> dict[str, Any]:
    url = f"data:image/jpeg;base64,{data}"
    return {"type": "image_url", "image_url": {"url": url}}


def large(model: str, data: str = PHOTO) -> bytes:
    return orjson.dumps({"model": model, "messages": [user(photo(data))], "max_tokens": 5})  # fmt: skip


def pieces(body: bytes) -> list[bytes]:
    return [body[at : at + 65_536] for at in range(0, len(body), 65_536)]


@pytest.fixture
async def tight(
    transactional_db: None, settings: Settings, tmp_path: Path
) -> AsyncIterator[Runtime]:
    """A gateway that takes on one large body at a time."""
    settings.LLM_MAX_IN_FLIGHT_BYTES = 20 * MIB
    settings.JOURNAL_DIR = tmp_path
    made = await runtime.start()
    yield made
    await made.stop()


@pytest.mark.parametrize("spaced", [False, True])
async def test_photo__of_fifteen_megabytes__reaches_the_provider_whole(
    indoors: World, gateway: Runtime, spaced: bool
) -> None:
    async with open_faucet() as faucet:
        served = indoors.serve_at((faucet.url, "m"))
        body = large(served.model)
        if spaced:
            body = body.replace(b'"messages":', b'"messages" : ')
        exchange = Exchange(gateway, CHAT, pieces(body), key=indoors.key)
        serving = exchange.start()
        pour = await faucet.call()
        await pour.answer("A cat.")
        await serving
    sent = pour.asked["messages"][0]["content"][1]["image_url"]["url"]
    assert sent.endswith(PHOTO)
    assert billed(indoors, exchange.answer).prompt_tokens < 20_000


async def test_embeddings__a_batch_of_a_thousand_chunks__is_taken(
    indoors: World, gateway: Runtime
) -> None:
    chunks = ["A chunk of text, of which there are many. " * 120] * 1000
    vectors = [{"object": "embedding", "index": 0, "embedding": [0.1]}]
    reply = orjson.dumps({"data": vectors, "usage": {"prompt_tokens": 1_200_000}})
    async with upstream(reply) as url:
        served = indoors.serve_at((url, "m"), kind="embedding")
        body = orjson.dumps({"model": served.model, "input": chunks})
        path = "/v1/embeddings"
        answer = await Exchange(gateway, path, pieces(body), key=indoors.key).run()
    assert (answer.status, billed(indoors, answer).marks) == (200, [])


async def test_bytes_in_flight__no_room_for_another__is_503_and_small_ones_pass(
    indoors: World, tight: Runtime
) -> None:
    small = indoors.serve("ok")
    async with open_faucet() as faucet:
        served = indoors.serve_at((faucet.url, "m"))
        first = Exchange(tight, CHAT, pieces(large(served.model)), key=indoors.key)
        serving = first.start()
        pour = await faucet.call()
        second = Exchange(tight, CHAT, pieces(large(served.model)), key=indoors.key)
        refused = await second.run()
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.error["code"] == "overloaded"
        assert (await ask(indoors, tight, small.model)).status == 200
        await pour.answer("A cat.")
        await serving
        again = Exchange(tight, CHAT, pieces(large(served.model)), key=indoors.key)
        serving = again.start()
        await (await faucet.call(2)).answer("A cat.")
        await serving
    assert [first.answer.status, again.answer.status] == [200, 200]


async def test_bytes_in_flight__whatever_becomes_of_them__are_given_back(
    indoors: World, tight: Runtime
) -> None:
    broken = indoors.serve("status-500")
    for _ in range(3):
        left = tight.load_limit._bytes_left
        for body, key in (
            (pieces(large(broken.model)), indoors.key),
            ([b" " * MIB] * 21, indoors.key),  # too large
            ([b" " * MIB] * 3, "vc-unknown"),
            ([b"{" * MIB] * 3, indoors.key),  # not JSON
        ):
            answer = await Exchange(tight, CHAT, body, key=key).run()
            assert answer.status in (400, 401, 413, 502)
        assert tight.load_limit._bytes_left == left == 20 * MIB


@pytest.mark.parametrize("key", ["", "vc-unknown", "rubbish"])
async def test_large_body__of_nobody_known__is_refused_before_its_end(
    indoors: World, gateway: Runtime, key: str
) -> None:
    exchange = Exchange(gateway, CHAT, [b" " * MIB] * 10, key=key)
    assert (await exchange.run()).status == 401
    assert len(exchange._parts) == 8


def test_large_body__told_in_its_head__is_refused_before_it_comes(
    world: World,
) -> None:
    with Wire(world.port) as wire:
        wire.socket.sendall(head(CHAT, world.key, 20 * MIB + 1, Connection="close"))
        status = wire.everything().split(b" ", 2)[1]
    assert status == b"413"


async def test_slow_body__each_megabyte__has_the_time_of_the_first() -> None:
    parts = [b" " * 700_000] * 5
    moved: list[float] = []
    limit: Any = SimpleNamespace(when=lambda: 0.0, reschedule=moved.append)

    async def receive() -> dict[str, Any]:
        part = parts.pop()
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def identify(call: object) -> None:
        """Everybody is known."""

    known: Any = SimpleNamespace(
        load_limit=LoadLimit(1, 10**9),
        authentication=SimpleNamespace(identify=identify),
    )
    exchange = Exchange(known, CHAT)
    exchange.scope["valuecanvas.request_id"] = None
    body = await hot_body._parts(exchange.scope, receive, LoadSlot(), limit)
    # 3.5 million bytes: three more than the first.
    assert (len(body), len(moved)) == (3_500_000, 3)


def test_slot__bytes__count_beyond_what_is_free_and_once() -> None:
    room, first, second = LoadLimit(9, 100), LoadSlot(), LoadSlot()
    first.count(room, FREE_BYTES)
    first.count(room, FREE_BYTES + 60)
    first.count(room, FREE_BYTES + 60)
    with pytest.raises(Unavailable):
        second.count(room, FREE_BYTES + 41)
    second.count(room, FREE_BYTES + 40)
    first.free()
    first.free()
    second.free()
    room.hold(100)


@pytest.mark.parametrize(("parts", "beside"), [(1, False), (30_000, True)])
async def test_objects__many__are_looked_through_beside_the_event_loop(
    indoors: World,
    gateway: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    parts: int,
    beside: bool,
) -> None:
    threads: dict[str, bool] = {}

    def watch(module: ModuleType, name: str) -> None:
        real = getattr(module, name)

        def watched(*given: Any, **named: Any) -> Any:
            threads[name] = threading.current_thread() is not threading.main_thread()
            return real(*given, **named)

        monkeypatch.setattr(module, name, watched)

    watch(resolver, "resolve")
    watch(plan_checks, "check")
    async with upstream(honest(300)) as url:
        served = indoors.serve_at((url, "m"))
        content = [{"type": "text", "text": "a"}] * parts
        messages = [{"role": "user", "content": content}]
        body = orjson.dumps({"model": served.model, "messages": messages})
        answer = await Exchange(gateway, CHAT, pieces(body), key=indoors.key).run()
    assert answer.status == 200
    assert threads == {"resolve": beside, "check": beside}


VALUES = {
    "lists": b'{"a":[' + b"[]," * 700_000 + b"1]}",
    "numbers": b'{"a":[' + b"1," * 1_100_000 + b"1]}",
    "texts": b'{"a":[' + b'"",' * 1_100_000 + b'""]}',
    "pairs": b"{" + b",".join(b'"%d":1' % n for n in range(1_100_000)) + b"}",
    "many texts": b'{"a":[' + b'"",' * 3_000_000 + b'""]}',
    "objects": b'{"a":[' + b"{}," * 95_000 + b"1]}",
    "messages": b'{"a":[' + b'{"role":"user","content":""},' * 100_000 + b"1]}",
}
NO_END = b'{"a":"' + b'\\",' * 1_100_000


@pytest.mark.parametrize("name", VALUES)
def test_values__too_many__are_refused_before_they_are_read(name: str) -> None:
    with pytest.raises(BodyTooLarge):
        strict_json.refuse_too_many_values(VALUES[name])


def test_values__commas_in_a_text__are_none() -> None:
    strict_json.refuse_too_many_values(NO_END)
    rows = orjson.dumps({"a": '1,2,[3],{"x"},\\\n' * 300_000})
    strict_json.refuse_too_many_values(rows)


@pytest.mark.parametrize(
    "value", [b"1," * 999_000, b"{}," * 90_000, b'{"a":"b","c":""},' * 83_000]
)
def test_values__as_many_as_allowed__pass(value: bytes) -> None:
    strict_json.refuse_too_many_values(b'{"a":[' + value + b"1]}")


@pytest.mark.parametrize("name", SOUNDS)
async def test_sound__of_sixty_kilobytes__passes_on_the_free_tier(
    indoors: World, gateway: Runtime, name: str
) -> None:
    key = indoors.new_customer(
        daily_requests=10, max_output_tokens=1024, tokens_per_minute=20_000
    )[1]
    part = {"type": "input_audio", "input_audio": {"data": b64(SOUNDS[name]), "format": "wav"}}  # fmt: skip
    data = "data:application/pdf;base64," + b64(pdf(2) + bytes(40_000))
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}
    async with upstream(honest(300)) as url:
        served = indoors.serve_at((url, "m"))
        body = orjson.dumps({"model": served.model, "messages": [user(part, file)]})
        answer = await Exchange(gateway, CHAT, pieces(body), key=key).run()
    row = billed(indoors, answer)
    assert (row.prompt_tokens, row.marks) == (300, [])
