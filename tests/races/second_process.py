"""Another process of the gateway: admits the requests that it reads, a line each.

A line is {"authorization": ..., "model": ...}; the answering line tells what the request
was admitted on, or how it was refused. With the argument `blind` the guard is off: its
ledger admits on whatever configuration a request came with.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import psycopg

from billing.ledger import Admit
from billing.ledger import ledger as module
from billing.ledger.types import Books, Item
from llm import runtime
from llm.runtime import Runtime
from llm.types import AdmittedCall, Call
from llm.upstream.attempts import Attempts
from llm.upstream.failover import RetryLimit
from valuecanvas.core.errors import GatewayError, Unavailable
from valuecanvas.core.ids import uuid7


class Blind(module.BatchWriter):
    """Takes each request's own epoch for the committed one."""

    def _lock(self, cursor: psycopg.Cursor, items: Sequence[Item]) -> Books:
        books = super()._lock(cursor, items)
        asked = [item.epoch for item in items if isinstance(item, Admit)]
        return replace(books, epoch=asked[0] if asked else books.epoch)


def _told(held: AdmittedCall) -> dict[str, Any]:
    first = held.plan.candidates[0]
    return {
        "epoch": held.plan.epoch,
        "input_rate": first.rate.input,
        "upstream_model": first.upstream_model,
        "quota": held.admitted.quota,
        "limits": [limit.micros for limit in held.admitted.limits],
    }


class _NoProvider:
    """Step 5 of a request, for which only what the steps before have found matters."""

    def __init__(self) -> None:
        self.retries = RetryLimit()
        self.held: AdmittedCall | None = None

    async def deliver(self, attempts: Attempts) -> NoReturn:
        self.held = attempts.held
        raise Unavailable("Nobody is asked.")


async def _answer(gateway: Runtime, asked: dict[str, str]) -> dict[str, Any]:
    number = uuid7()
    # Each asks for something else: identical requests would share one call.
    messages = [{"role": "user", "content": str(number)}]
    body = {"model": asked["model"], "messages": messages}
    call = Call(number, "chat", body, authorization=asked["authorization"])
    relay = _NoProvider()
    gateway.pipeline._failover = relay  # type: ignore[assignment]
    try:
        await gateway.pipeline.run(call)
    except GatewayError as error:
        if relay.held is None:
            return {"error": error.code}
    assert relay.held is not None
    return _told(relay.held)


async def _serve() -> None:
    gateway = await runtime.start()
    while line := await asyncio.to_thread(sys.stdin.readline):
        answer = await _answer(gateway, json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    await gateway.stop()


def main() -> None:
    if "blind" in sys.argv:
        module.BatchWriter = Blind  # type: ignore[misc]
    asyncio.run(_serve())
