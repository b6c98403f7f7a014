"""Idempotency keys of requests that would be refused by now."""

import orjson
import psycopg
import pytest

from llm.admission import idempotent_replay, quota_denials
from llm.runtime import Runtime
from tests.live.faucet import ROLE, open_faucet
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.server import database_url
from tests.live.shared import offered
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live


def send(
    world: World, gateway: Runtime, body: bytes, *, key: str, used: str = ""
) -> Exchange:
    made = Exchange(gateway, CHAT, body, key=key)
    if used:
        made.scope["headers"].append((b"idempotency-key", used.encode()))
    return made


async def wear_out(world: World, gateway: Runtime, model: str, key: str) -> None:
    """Until the refusal is remembered."""
    for _ in range(2):
        again = send(world, gateway, chat_body(model), key=key)
        assert (await again.run()).error["code"] == "insufficient_quota"


async def test_key__quota_used_up_and_remembered__replays_all_the_same(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_denials, "KEPT_S", 600.0)
    model = indoors.serve("ok").model
    _, key = indoors.new_customer(daily_requests=1)
    body = chat_body(model)
    first = await send(indoors, gateway, body, key=key, used="k").run()
    await wear_out(indoors, gateway, model, key)
    again = await send(indoors, gateway, body, key=key, used="k").run()
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    other = await send(indoors, gateway, chat_body(model), key=key, used="k").run()
    assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
    new = await send(indoors, gateway, body, key=key, used="k2").run()
    assert (new.status, new.error["code"]) == (429, "insufficient_quota")


async def test_key__quota_used_up_by_the_first_under_way__is_409(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_denials, "KEPT_S", 600.0)
    _, key = indoors.new_customer(daily_requests=1)
    async with open_faucet() as faucet:
        model = indoors.serve_at((faucet.url, "m")).model
        body = chat_body(model, stream=True)
        first = send(indoors, gateway, body, key=key, used="k")
        running = first.start()
        pour = await faucet.call()
        await pour.send(ROLE)
        await pour.say("Hel")
        await first.until(b"Hel")
        await wear_out(indoors, gateway, model, key)
        busy = await send(indoors, gateway, body, key=key, used="k").run()
        assert (busy.status, busy.error["code"]) == (409, "idempotency_key_in_use")
        await pour.finish()
        await running


async def test_key__first_use_cannot_be_read_in_time__is_refused_as_it_would_be(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota_denials, "KEPT_S", 600.0)
    monkeypatch.setattr(idempotent_replay, "WITHIN_S", 0.05)
    model = indoors.serve("ok").model
    _, key = indoors.new_customer(daily_requests=1)
    body = chat_body(model)
    await send(indoors, gateway, body, key=key, used="k").run()
    await wear_out(indoors, gateway, model, key)
    with psycopg.connect(indoors.db(database_url)) as holder:
        holder.execute("LOCK TABLE billing_idempotency IN ACCESS EXCLUSIVE MODE")
        again = await send(indoors, gateway, body, key=key, used="k").run()
    assert (again.status, again.error["code"]) == (429, "insufficient_quota")
    assert again.headers["x-ratelimit-limit-requests"] == "1"


def test_key__minute_limit_reached__replays_all_the_same(world: World) -> None:
    _, key = world.new_customer(daily_requests=100, requests_per_minute=1)
    used = unique("key")
    with offered(world) as offer:
        first = offer.ask(key=key, idempotency_key_header=used)
        again = offer.ask(key=key, idempotency_key_header=used)
        assert (again.status, again.body) == (200, first.body)
        assert again.headers["idempotent-replayed"] == "true"
        refused = offer.ask(key=key, idempotency_key_header=unique("key"))
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        assert offer.calls == 1


def test_key__model_gone_meanwhile__replays_all_the_same(world: World) -> None:
    used = unique("key")
    with offered(world) as offer:
        first = offer.ask(idempotency_key_header=used)
        model = world.model(offer.model)
        model.enabled = False
        world.db(model.save)
        again = offer.ask(idempotency_key_header=used)
        assert (again.status, again.body) == (200, first.body)
        assert offer.ask().status == 404


def test_key__used_on_both_paths__is_another_on_each(world: World) -> None:
    used = unique("key")
    with offered(world) as offer:
        chat = offer.ask(idempotency_key_header=used)

        def complete(prompt: str) -> Answer:
            body = orjson.dumps({"model": offer.model, "prompt": prompt})
            return world.request("/api/llm/complete", body, idempotency_key=used)

        short, again = complete(offer.text), complete(offer.text)
        assert "idempotent-replayed" not in short.headers
        assert short.json["request_id"] == short.headers["x-request-id"]
        assert again.body == short.body
        assert complete("Another text.").status == 422
        repeated = offer.ask(idempotency_key_header=used)
        assert repeated.body == chat.body
