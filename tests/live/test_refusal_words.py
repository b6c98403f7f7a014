"""What a caller reads of a provider's refusal: its words, and no secret of ours."""

from typing import Any

import orjson
import pytest

from llm.runtime import Runtime
from tests.live.inside import Exchange, ask
from tests.live.scripted import event, provider, said
from tests.live.world import World
from tests.llm.providers.test_error_bodies import FORMS, SAID

pytestmark = pytest.mark.live

KEY = "sk-our-Secret-Key-0123456789"


@pytest.mark.parametrize("form", FORMS)
async def test_refusal__any_form__reaches_the_caller_with_its_words(
    indoors: World, gateway: Runtime, form: str
) -> None:
    body = FORMS[form]
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    async with provider(lambda asked: said(400, raw)) as url:
        served = indoors.serve_at((url, "m"))
        answer = await ask(indoors, gateway, served.model)
    assert answer.status == 400
    assert SAID in answer.error["message"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 429, 500])
async def test_refusal__that_quotes_our_key__does_not_pass_it_on(
    indoors: World, gateway: Runtime, status: int
) -> None:
    words = f"Bad key {KEY}, that is {KEY[:16]}... at https://me:pass@host/."
    body = {"error": {"message": words, "code": f"bad {KEY}"}}
    async with provider(lambda asked: said(status, body)) as url:
        served = indoors.serve_at((url, "m"), api_key=KEY)
        answer = await ask(indoors, gateway, served.model)
    assert KEY[7:] not in str(answer.body)
    assert KEY[:12] not in str(answer.body)
    assert "pass@" not in str(answer.body)


async def test_all_routes__failed__are_named_with_what_each_said(
    indoors: World, gateway: Runtime
) -> None:
    async with (
        provider(lambda asked: said(500, {"error": "Disk full."})) as one,
        provider(lambda asked: said(200, b"<html>")) as two,
    ):
        served = indoors.serve_at((one, "m"), (two, "m"))
        answer = await ask(indoors, gateway, served.model)
    first, second = served.providers
    message = answer.error["message"]
    assert answer.status == 502
    assert f"{first}: The provider answered 500. Disk full." in message
    assert f"{second}: The provider's reply is not JSON." in message


@pytest.mark.parametrize("kind", ["error", "response.failed"])
async def test_native_failure__that_quotes_our_key__does_not_pass_it_on(
    indoors: World, gateway: Runtime, kind: str
) -> None:
    error = {"code": "server_error", "message": f"Bad {KEY}."}
    last: dict[str, Any] = {"type": kind, "response": {"error": error}, **error}
    delta = {"type": "response.output_text.delta", "delta": "Hi."}
    async with provider(lambda asked: said(200, event(delta) + event(last))) as url:
        served = indoors.serve_at((url, "m"), provider_kind="openai", api_key=KEY)
        body = orjson.dumps({"model": served.model, "input": "Hi.", "stream": True})
        exchange = Exchange(gateway, "/v1/responses", body, key=indoors.key)
        answer = await exchange.run()
    assert b"Hi." in answer.body
    assert b"[hidden]" in answer.body
    assert KEY[:12] not in str(answer.body)
