"""Idempotency keys at the gateway: the first answer again, byte for byte, for a day."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from llm.runtime import Runtime
from tests.live.faucet import ROLE, open_faucet
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.shared import offered, said
from tests.live.wire import data_events
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live

TWINS = 50
BYPASS = {"cache_control_header": "no-store"}
# Headers of the connection and of this very request, not of the answer.
OWN = {"date", "server", "x-request-id", "transfer-encoding", "content-length"}
ADDED = {"idempotent-replayed", "x-valuecanvas-original-request-id"}


def check_replay(first: Answer, again: Answer) -> None:
    assert again.body == first.body
    assert again.status == first.status
    assert again.headers["idempotent-replayed"] == "true"
    original = again.headers["x-valuecanvas-original-request-id"]
    assert original == first.headers["x-request-id"] != again.headers["x-request-id"]
    kept = {name: first.headers[name] for name in first.headers.keys() - OWN}
    assert {
        name: again.headers[name] for name in again.headers.keys() - OWN - ADDED
    } == kept


@pytest.mark.parametrize("control", [{}, BYPASS], ids=["cache", "no cache"])
@pytest.mark.parametrize("stream", [False, True])
def test_key__used_again__gives_the_first_answer_byte_for_byte(
    world: World, stream: bool, control: dict[str, str]
) -> None:
    key = unique("key")
    with offered(world, "drip@1ms:20") as offer:
        one, two, three = (
            offer.ask(stream=stream, idempotency_key_header=key, **control)
            for _ in range(3)
        )
        assert offer.calls == 1
    assert said(one)
    assert "idempotent-replayed" not in one.headers
    check_replay(one, two)
    check_replay(one, three)
    row = world.usage(one.headers["x-request-id"])
    assert world.counter() == (1, int(row.cost_usd * 1_000_000), 0)


@pytest.mark.parametrize("stream", [False, True])
def test_key__of_an_answer_from_the_cache__replays_that(
    world: World, stream: bool
) -> None:
    key = unique("key")
    with offered(world) as offer:
        offer.ask()
        one, two = (
            offer.ask(stream=stream, idempotency_key_header=key) for _ in range(2)
        )
        assert offer.calls == 1
    assert one.headers["x-valuecanvas-cache"] == "hit"
    assert two.body == one.body
    assert two.headers["idempotent-replayed"] == "true"
    assert world.counter()[0] == 2


def test_key__quoted_or_bare__is_the_same(world: World) -> None:
    key = unique("key")
    with offered(world) as offer:
        one = offer.ask(idempotency_key_header=key)
        check_replay(one, offer.ask(idempotency_key_header=f'"{key}"'))


@pytest.mark.parametrize("header", ["", '""', "x" * 256, "é"])
def test_key__that_is_none__is_400_by_name(world: World, header: str) -> None:
    with offered(world) as offer:
        answer = offer.ask(idempotency_key_header=header)
        assert (answer.status, answer.error["param"]) == (400, "Idempotency-Key")
        assert offer.calls == 0
    assert world.counter() == (0, 0, 0)


def test_key__with_another_body__is_422_and_takes_nothing(world: World) -> None:
    key = unique("key")
    with offered(world) as offer:
        offer.ask(idempotency_key_header=key)
        answer = offer.ask(idempotency_key_header=key, temperature=0.5)
        assert offer.calls == 1
    assert (answer.status, answer.error["code"]) == (422, "idempotency_key_reused")
    assert world.counter()[0] == 1


def test_key__of_another_customer_or_path__is_another(world: World) -> None:
    key, other = unique("key"), world.new_customer()[1]
    with offered(world) as offer:
        offer.ask(idempotency_key_header=key)
        answer = offer.ask(key=other, idempotency_key_header=key)
        assert "idempotent-replayed" not in answer.headers
        same = offer.ask(key=world.new_key(), idempotency_key_header=key)
        assert same.headers["idempotent-replayed"] == "true"
        assert offer.calls == 2
    body = b'{"model":"%s","input":"x"}'
    with offered(world, kind="embedding") as offer:
        data = body % offer.model.encode()
        answers = [
            world.request("/v1/embeddings", data, idempotency_key=key) for _ in "12"
        ]
        assert offer.calls == 1
    assert "idempotent-replayed" not in answers[0].headers
    check_replay(*answers)


def test_key__short_way__replays_the_completion(world: World) -> None:
    world.free_tier()
    caller, key = world.new_key(scopes=["llm", "act_as", "act_as_jwt"]), unique("key")
    with offered(world) as offer:
        body = b'{"model":"%s","prompt":"Hi.","userId":"ann"}' % offer.model.encode()
        one, two = (
            world.request(
                "/api/llm/complete", body, key=caller, idempotency_key=key,
                cache_control="no-store",
            )
            for _ in range(2)
        )  # fmt: skip
        assert offer.calls == 1
    check_replay(one, two)
    assert (one.json["cached"], one.json["model"]) == (False, offer.model)
    assert one.json["cost"] > 0


@pytest.mark.parametrize("behaviour", ["status-500", "status-400", "reset@0"])
def test_key__of_a_failure_that_cost_nothing__is_free_again(
    world: World, behaviour: str
) -> None:
    key = unique("key")
    with offered(world, behaviour) as offer:
        assert offer.ask(idempotency_key_header=key).status >= 400
        world.demo.override(offer.upstream_model, "ok")
        answer = offer.ask(idempotency_key_header=key)
    assert answer.status == 200
    assert "idempotent-replayed" not in answer.headers


def test_key__of_a_stream_that_broke_off__replays_as_far_as_it_came(
    world: World,
) -> None:
    key = unique("key")
    with offered(world, "error-event@5+ok-40") as offer:
        one, two = (
            offer.ask(stream=True, idempotency_key_header=key) for _ in range(2)
        )
        assert offer.calls == 1
    assert data_events(one.body)[-1]["error"]["code"] == "stream_interrupted"
    check_replay(one, two)


EXPIRE = """
UPDATE billing_idempotency SET expires_at = expires_at - interval '24 hours'
WHERE request_id = %s RETURNING extract(epoch FROM expires_at - created_at)
"""


def expire(request_id: str) -> float:
    """A day goes by for one key; how long it was to be kept after that, in seconds."""
    with connection.cursor() as cursor:
        cursor.execute(EXPIRE, [request_id])
        return float(cursor.fetchone()[0])


def test_key__after_a_day__is_a_new_one(world: World) -> None:
    key = unique("key")
    with offered(world) as offer:
        one = offer.ask(idempotency_key_header=key, **BYPASS)
        assert world.db(expire, one.headers["x-request-id"]) == 0
        fields: dict[str, Any] = {"temperature": 0.5}
        two = offer.ask(idempotency_key_header=key, **fields, **BYPASS)
        assert two.status == 200
        check_replay(two, offer.ask(idempotency_key_header=key, **fields, **BYPASS))
        assert offer.calls == 2


@pytest.mark.parametrize("stream", [False, True])
def test_key__sent_by_50_at_once__is_one_call_and_one_charge(
    world: World, stream: bool
) -> None:
    key = unique("key")
    with offered(world, "slow@100ms+drip@2ms:20") as offer:

        def ask(_: int) -> Answer:
            return offer.ask(stream=stream, idempotency_key_header=key, **BYPASS)

        with ThreadPoolExecutor(TWINS) as pool:
            answers = list(pool.map(ask, range(TWINS)))
        assert offer.calls == 1
    good = [answer for answer in answers if answer.status == 200]
    assert len({answer.body for answer in good}) == 1
    first = [one for one in good if "idempotent-replayed" not in one.headers]
    assert len(first) == 1
    for answer in answers:
        if answer.status != 200:
            assert answer.status == 409
            assert answer.error["code"] == "idempotency_key_in_use"
            assert answer.headers["retry-after"] == "1"
    row = world.usage(first[0].headers["x-request-id"])
    assert world.counter() == (1, int(row.cost_usd * 1_000_000), 0)


@pytest.mark.parametrize("leaves", [False, True])
async def test_key__while_the_first_is_under_way__is_409_then_the_answer(
    indoors: World, gateway: Runtime, leaves: bool
) -> None:
    """Also if the client leaves its stream: what it was sent is what is kept."""
    async with open_faucet() as faucet:
        model = indoors.serve_at((faucet.url, "m")).model
        body = chat_body(model, "Hi.", stream=True)

        def exchange() -> Exchange:
            made = Exchange(gateway, CHAT, body, key=indoors.key)
            made.scope["headers"] += [(b"idempotency-key", b"k")]
            return made

        first = exchange()
        running = first.start()
        pour = await faucet.call()
        await pour.send(ROLE)
        await pour.say("Hel")
        await first.until(b"Hel")
        busy = await exchange().run()
        assert (busy.status, busy.error["code"]) == (409, "idempotency_key_in_use")
        if leaves:
            first.leave()
        else:
            await pour.say("lo.")
            await pour.finish()
        await running
        while (again := await exchange().run()).status == 409:
            await asyncio.sleep(0)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.body.startswith(first.body)
    if leaves:
        assert data_events(again.body)[-1]["error"]["code"] == "stream_interrupted"
    else:
        assert again.body == first.body
    assert len(faucet.calls) == 1


async def test_key__of_a_stream_whose_client_left_before_it_began__is_free_again(
    indoors: World, gateway: Runtime
) -> None:
    """Nothing was heard of the answer: there is nothing to say again."""

    class Deaf(Exchange):
        async def send(self, message: dict[str, Any]) -> None:
            self.leave()
            await asyncio.Event().wait()

    async with open_faucet() as faucet:
        model = indoors.serve_at((faucet.url, "m")).model
        body = chat_body(model, "Hi.", stream=True)
        first, second = (
            kind(gateway, CHAT, body, key=indoors.key) for kind in (Deaf, Exchange)
        )
        for exchange in (first, second):
            exchange.scope["headers"] += [(b"idempotency-key", b"k")]
        running = first.start()
        await (await faucet.call()).answer("Hello.")
        await running
        await asyncio.to_thread(indoors.eventually, indoors.rows_now)
        running, called = second.start(), asyncio.ensure_future(faucet.call(2))
        await asyncio.wait((running, called), return_when="FIRST_COMPLETED")
        assert called.done(), second.answer
        await called.result().answer("Hello.")
        await running
    assert "idempotent-replayed" not in second.answer.headers
    assert said(second.answer) == "Hello."
