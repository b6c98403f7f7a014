"""The usage of a streamed answer: told to whoever asked for it, once, and to nobody else."""

import asyncio
from typing import Any

import orjson
import pytest

from tests.live.faucet import END, ROLE, USAGE
from tests.live.inside import DONE, chunk, event
from tests.live.party import Party
from tests.live.shared import how, said, usages
from tests.live.world import Answer

pytestmark = pytest.mark.live

ASKED: dict[str, Any] = {"stream_options": {"include_usage": True}}
HELLO = (chunk(content="Hel"), chunk(content="lo."))


def with_usage(part: bytes, usage: Any = USAGE) -> bytes:
    return event({**orjson.loads(part.removeprefix(b"data: ")), "usage": usage})


OF_ITS_OWN = event({"id": "c", "created": 1, "choices": [], "usage": USAGE})
# How providers tell the usage: the parts of one answer.
TOLD = {
    "at the end": [ROLE, *HELLO, END, OF_ITS_OWN],
    "with the end": [ROLE, *HELLO, with_usage(END)],
    "twice": [ROLE, *HELLO, with_usage(END), OF_ITS_OWN],
    "in each part": [with_usage(part) for part in (ROLE, *HELLO, END)],
    "with the first": [OF_ITS_OWN, with_usage(ROLE), *HELLO, END],
    "as null": [with_usage(part, None) for part in (ROLE, *HELLO, END)],
    "never": [ROLE, *HELLO, END],
}


def fields(asked: bool) -> dict[str, Any]:
    return {"stream": True, **(ASKED if asked else {})}


def check(answer: Answer, asked: bool, told: str) -> None:
    """Usage for who asked; where the provider told one in each part, so does its caller."""
    assert said(answer) == "Hello."
    found = usages(answer)
    most = len(TOLD[told]) if how(answer) == "miss" else 1
    assert (1 if asked else 0) <= len(found) <= (most if asked else 0)
    if told not in ("as null", "never"):
        assert all(one == USAGE for one in found)
    assert all(one["completion_tokens"] > 0 for one in found)


@pytest.mark.parametrize("leader_asked", [False, True])
@pytest.mark.parametrize("told", TOLD)
async def test_usage__whoever_leads_and_however_it_is_told__is_what_each_asked_for(
    party: Party, told: str, leader_asked: bool
) -> None:
    keys = iter("abcdefgh")

    def ask(gateway: Any, asked: bool) -> "asyncio.Task[Answer]":
        made = party.ask(gateway, idempotency=next(keys), **fields(asked))
        waiting.append((asked, made))
        return made

    waiting: list[tuple[bool, asyncio.Task[Answer]]] = []
    leader = ask(party.left, leader_asked)
    pour = await party.faucet.call()
    for asked in (False, True):
        ask(party.left, asked)
        ask(party.right, asked)
    await party.told(3)
    await party.followed(party.right, 2)
    *begin, end = TOLD[told]
    await pour.send(*begin)
    for asked in (False, True):
        # Late ones: part of it has come already.
        ask(party.left, asked)
    await party.told(5)
    await pour.send(end, DONE)
    pour.close()
    first = await leader
    for asked, task in waiting:
        answer = await task
        check(answer, asked, told)
        assert how(answer) == ("miss" if answer is first else "coalesced")
    for key, (asked, task) in zip("abcdefgh", waiting, strict=False):
        again = await party.ask(party.right, idempotency=key, **fields(asked))
        assert again.headers["idempotent-replayed"] == "true"
        assert again.body == (await task).body
    for asked in (False, True):
        hit = await party.ask(party.left, **fields(asked))
        assert how(hit) == "hit"
        check(hit, asked, told)


@pytest.mark.parametrize("told", [False, True])
async def test_usage__of_a_whole_answer_given_as_a_stream__is_what_each_asked_for(
    party: Party, told: bool
) -> None:
    leader = party.ask(party.left)
    pour = await party.faucet.call()
    asked = {one: party.ask(party.left, **fields(one)) for one in (False, True)}
    await party.followed(party.left, 2)
    message = {"role": "assistant", "content": "Hello."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"usage": USAGE} if told else {}
    await pour.send(orjson.dumps({"id": "c", "choices": [choice], **usage}))
    pour.close()
    await leader
    for one, task in asked.items():
        check(await task, one, "at the end" if told else "never")
        hit = await party.ask(party.left, **fields(one))
        check(hit, one, "at the end" if told else "never")
