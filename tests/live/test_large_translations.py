"""A large Response is translated in a thread: other requests need not wait for it."""

import threading
from typing import Any

import orjson
import pytest

from llm.dialects import responses_via_chat as module
from llm.runtime import Runtime
from tests.live.inside import Exchange, upstream
from tests.live.world import World, unique

pytestmark = pytest.mark.live

SMALL, LARGE = 20_000, 70_000


def noted(
    patched: pytest.MonkeyPatch, name: str, threads: dict[str, threading.Thread]
) -> None:
    real: Any = getattr(module, name)

    def note(*given: Any, **named: Any) -> Any:
        threads[name] = threading.current_thread()
        return real(*given, **named)

    patched.setattr(module, name, note)


@pytest.mark.parametrize(("asked", "answered"), [(SMALL, LARGE), (LARGE, SMALL)])
async def test_responses__large_body_or_answer__is_translated_off_the_loop(
    indoors: World,
    gateway: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    asked: int,
    answered: int,
) -> None:
    threads: dict[str, threading.Thread] = {}
    for name in ("to_chat", "to_response"):
        noted(monkeypatch, name, threads)
    text = "word " * (answered // 5)
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    async with upstream(orjson.dumps({"id": "c", "choices": [choice]})) as url:
        served = indoors.serve_at((url, "m"), provider_kind="compatible")
        given = unique("Say ") + "word " * (asked // 5)
        body = {"model": served.model, "input": given, "max_output_tokens": 100_000}
        made = Exchange(gateway, "/v1/responses", orjson.dumps(body), key=indoors.key)
        answer = await made.run()
    assert answer.status == 200, answer.body
    [part] = answer.json["output"][0]["content"]
    assert part["text"] == text
    mine = threading.current_thread()
    assert (threads["to_chat"] is not mine) is (asked == LARGE)
    assert (threads["to_response"] is not mine) is (answered == LARGE)
