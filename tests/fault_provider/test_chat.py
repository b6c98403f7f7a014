"""Chats with the fault provider that are longer, shorter or others than the demo's."""

import pytest

from tests.fixtures_demo import content_of

CANVAS = "Generate a business model canvas for a SaaS platform"


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("text", ["hi", CANVAS])
async def test_stream__ok_31__has_31_chunks_before_done(
    fault_server, text, include_usage
):
    options = {"include_usage": include_usage}
    *chunks, done = await fault_server.events("ok-31", text, stream_options=options)
    assert (len(chunks), done) == (31, "[DONE]")
    assert len(content_of(chunks)) == (28 if include_usage else 29)
    assert "demo answer" in "".join(content_of(chunks))
    if include_usage:
        assert chunks[-1]["usage"]["completion_tokens"] == 28


async def test_chat__ok_31_whole__has_29_tokens(fault_server):
    body = await fault_server.answer("ok-31")
    assert body["usage"]["completion_tokens"] == 29


async def test_chat__ok_4__is_too_short_for_the_notice(fault_server):
    body = await fault_server.answer("ok-4")
    assert body["choices"][0]["message"]["content"] == "Hello!"


async def test_chat__ignore_max_tokens__sends_more(fault_server):
    body = await fault_server.answer("ignore_max_tokens", max_tokens=100)
    assert body["usage"]["completion_tokens"] == 250
    assert body["choices"][0]["finish_reason"] == "stop"


async def test_chat__filter__ends_with_content_filter(fault_server):
    body = await fault_server.answer("filter", CANVAS)
    assert body["choices"][0]["finish_reason"] == "content_filter"
    assert body["usage"]["completion_tokens"] == 8


async def test_chat__echo__is_verbatim(fault_server):
    text = "  {{x}} \n\n\tGrüße 🎉 `$(id)` \\ud800 <b>"
    body = await fault_server.answer("echo", text)
    assert body["choices"][0]["message"]["content"] == text
    assert "".join(content_of(await fault_server.events("echo", text))) == text
    silent = await fault_server.post(
        "chat/completions", model="echo", messages=[{"role": "system", "content": "s"}]
    )
    assert (await silent.json())["choices"][0]["message"]["content"] == ""


async def test_chat__cached__is_reported_up_to_the_prompt(fault_server):
    for asked, told in ((2, 2), (99, 3)):
        usage = (await fault_server.answer(f"cached@{asked}", "a b c"))["usage"]
        assert usage["prompt_tokens_details"]["cached_tokens"] == told


async def test_chat__unknown_behaviour__is_404_with_its_param(fault_server):
    async with fault_server.chat("hagn") as response:
        assert response.status == 404
        error = (await response.json())["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "model"
