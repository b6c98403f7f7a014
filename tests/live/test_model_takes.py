"""A request for more than the model takes: refused before anything is sent or taken."""

from typing import Any

import orjson
import pytest

from llm.runtime import Runtime
from tests.live.inside import CHAT, Exchange, upstream
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live

NO_PICTURES = orjson.dumps({"error": {"message": "image input is not supported"}})
URL = "data:image/png;base64,AAAA"
PICTURE = {"type": "image_url", "image_url": {"url": URL}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


async def ask(
    world: World, gateway: Runtime, model: str, *parts: Any, **fields: Any
) -> Answer:
    text = {"type": "text", "text": unique("Say hello to")}
    messages = [{"role": "user", "content": [text, *parts]}]
    body = orjson.dumps({"model": model, "messages": messages, **fields})
    return await Exchange(gateway, CHAT, body, key=world.key).run()


async def test_pictures__for_a_model_of_text__are_refused_and_cost_nobody_anything(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(NO_PICTURES, status=500) as url:
        served = indoors.serve_at((url, "m"), takes=["text"])
        for _ in range(6):
            answer = await ask(indoors, gateway, served.model, PICTURE)
            assert (answer.status, answer.error["type"]) == (
                400,
                "invalid_request_error",
            )
            assert answer.error["param"] == "messages[0].content[1]"
            assert indoors.attempts(answer.headers["x-request-id"], 0) == []
    assert indoors.counter() == (0, 0, 0)


@pytest.mark.parametrize("choice", ["required", "auto"])
async def test_tools__for_a_model_without_them__are_refused(
    indoors: World, gateway: Runtime, choice: str
) -> None:
    served = indoors.serve("ok", takes=["text"])
    fields = {"tools": [TOOL], "tool_choice": choice}
    answer = await ask(indoors, gateway, served.model, **fields)
    assert (answer.status, answer.error["code"]) == (400, "not_taken_by_model")
    assert "takes no tools" in answer.error["message"]
    assert indoors.counter() == (0, 0, 0)


async def test_response__with_a_picture_for_a_model_of_text__is_refused(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok", takes=["text", "schema"])
    part = {"type": "input_image", "image_url": URL}
    body = {"model": served.model, "input": [{"role": "user", "content": [part]}]}
    raw = orjson.dumps(body)
    answer = await Exchange(gateway, "/v1/responses", raw, key=indoors.key).run()
    assert (answer.status, answer.error["param"]) == (400, "input[0].content[0]")


async def test_picture__where_one_route_takes_none__goes_to_the_other(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(NO_PICTURES, status=500) as url:
        local = indoors.serve_at((url, "m"), takes=["text"])
        served = indoors.serve_at((url, local.model), (indoors.demo.url, "ok"))
        answer = await ask(indoors, gateway, served.model, PICTURE)
    assert answer.status == 200, answer.body
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    assert indoors.attempts(answer.headers["x-request-id"], 0) == []


async def test_text__for_a_model_of_text__is_answered(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok", takes=["text"])
    answer = await ask(indoors, gateway, served.model, tools=[], tool_choice="none")
    assert answer.status == 200, answer.body
