"""T30: one Idempotency-Key is one upstream call and one charge, whoever repeats it."""

import asyncio
import secrets

from tests.faults.conftest import Stage
from tests.faults.counts import either
from tests.faults.rig import Offer, Rig
from tests.faults.traffic import Client, Row, at_once
from tests.faults.web import Web, webs

TWINS = either(30, 50)
ROUNDS = either(2, 100)


def with_key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def twins(rig: Rig, client: Client, offer: Offer, *, stream: bool) -> list[Row]:
    """The same request with the same key, all at once at both processes."""
    text, headers = rig.text(), with_key(secrets.token_hex(8))
    seen = await at_once(
        [lambda: rig.ask(client, offer, stream=stream, text=text, headers=headers)]
        * TWINS
    )
    # One more when all is over: the stored answer.
    late = await rig.ask(client, offer, stream=stream, text=text, headers=headers)
    return [*seen, late]


async def judge(rig: Rig, *, stream: bool) -> None:
    # Not cached: nothing but the key keeps the twins from the provider.
    offer = rig.provide("slow@100ms+ok-12", cache_policy="never")
    async with Client() as client:
        for number in range(ROUNDS):
            seen = await twins(rig, client, offer, stream=stream)
            rig.case.inject("twin", TWINS)
            good = [row for row in seen if row.whole]
            busy = [row for row in seen if row.status == 409]
            assert len(good) + len(busy) == len(seen)
            assert {row.code for row in busy} <= {"idempotency_key_in_use"}
            assert all(row.headers["retry-after"] == "1" for row in busy)
            fresh = [row for row in good if "idempotent-replayed" not in row.headers]
            assert len(fresh) == 1
            assert {row.text for row in good} == {fresh[0].text}
            assert {row.body for row in good} == {fresh[0].body}
            assert seen[-1].headers["idempotent-replayed"] == "true"
            assert rig.reached(offer) == number + 1
            assert len(rig.usage_rows()) == number + 1
    assert rig.counter()[0] == ROUNDS
    rig.case.runs = f"{ROUNDS} rounds of {TWINS}"
    rig.settled()


async def test_key__sent_by_many_at_once__is_one_call_and_one_charge(rig: Rig) -> None:
    await judge(rig, stream=False)


async def test_key__streamed_by_many_at_once__is_one_call_and_one_charge(
    rig: Rig,
) -> None:
    await judge(rig, stream=True)


async def test_key__without_its_claim__is_seen_to_be_paid_again(
    rig: Rig, stage: Stage
) -> None:
    """The twin with the guard off: the races above can fail."""
    env = {**stage.env, "UNGUARDED": "claim", "REDIS_PREFIX": "unclaimed"}
    door = "tests.faults.unguarded:application"
    offer = rig.provide("slow@100ms+ok-12", cache_policy="never")
    with webs([Web(stage.folder, env, door)]) as running:
        rig.webs = running
        async with Client() as client:
            seen = await twins(rig, client, offer, stream=False)
        rig.case.inject("twin", TWINS)
        assert all(row.whole for row in seen)
        assert rig.reached(offer) == len(seen)
        assert rig.counter()[0] == len(seen)
        rig.case.figure("upstream calls", rig.reached(offer))
        rig.settled(*seen)


async def test_key__with_another_body__is_refused(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    headers = with_key(secrets.token_hex(8))
    async with Client() as client:
        assert (await rig.ask(client, offer, headers=headers)).whole
        for fields in ({}, {"temperature": 0.5}, {"stream": True}):
            row = await rig.ask(client, offer, headers=headers, **fields)
            assert (row.status, row.code) == (422, "idempotency_key_reused")
            rig.case.inject("another body")
    assert rig.reached(offer) == 1
    assert rig.counter()[0] == 1
    rig.settled(*client.rows)


async def test_key__of_another_customer__is_never_shared(rig: Rig) -> None:
    offer = rig.provide("echo")
    key = secrets.token_hex(8)
    others = [rig.new_customer(daily_requests=10)[1] for _ in range(either(3, 20))]
    async with Client() as client:
        text = rig.text()
        for other in [rig.key, *others]:
            row = await rig.ask(client, offer, other, text=text, headers=with_key(key))
            assert row.whole
            assert "idempotent-replayed" not in row.headers
            rig.case.inject("same key of another")
    assert rig.reached(offer) == 1 + len(others)
    rig.settled(*client.rows)


async def test_key__after_a_failure_that_cost_nothing__is_free_again(rig: Rig) -> None:
    offer = rig.provide("status-422")
    text, headers = rig.text(), with_key(secrets.token_hex(8))
    async with Client() as client:
        first = await rig.ask(client, offer, text=text, headers=headers)
        assert first.status == 422
        rig.case.inject("failure")
        rig.behave(offer, "ok-12")
        again = await rig.ask(client, offer, text=text, headers=headers)
        assert again.whole
        assert "idempotent-replayed" not in again.headers
    assert rig.counter()[0] == 1
    rig.settled(*client.rows)


async def test_key__client_gave_up__its_retry_gets_the_answer_without_a_call(
    rig: Rig,
) -> None:
    """T13's other half."""
    # Half of it must do to get there.
    upstream_s = either(3.0, 0.4)
    offer = rig.provide(f"slow@{int(upstream_s * 1000)}ms+ok-12")
    count = either(4, 100)

    async def give_up_and_retry(client: Client) -> Row:
        text, headers = rig.text(), with_key(secrets.token_hex(8))
        left = await rig.ask(
            client, offer, text=text, headers=headers, give_up_s=upstream_s / 2
        )
        assert left.broke == "gave up"
        while True:
            row = await rig.ask(client, offer, text=text, headers=headers)
            if row.status != 409:
                return row
            await asyncio.sleep(0.05)

    async with Client() as client:
        seen = await asyncio.gather(*(give_up_and_retry(client) for _ in range(count)))
    assert all(row.whole for row in seen)
    assert all(row.headers["idempotent-replayed"] == "true" for row in seen)
    rig.case.inject("client left", count)
    rig.case.runs = f"{count} calls"
    assert rig.reached(offer) == count
    assert rig.counter()[0] == count
    rig.settled()
