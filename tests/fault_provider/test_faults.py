"""The faults of the fault provider, as a client on the wire sees them."""

import asyncio
import json
import zlib
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from tests.fixtures_demo import content_of, events_in

BROKEN = (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)


async def raw_chat(fault_server, model, *, stream):
    """A bare connection on which a chat was just asked for."""
    port = int(fault_server.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    messages = [{"role": "user", "content": "hi"}]
    body = json.dumps({"model": model, "stream": stream, "messages": messages})
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
    )
    writer.write(f"{head}\r\n\r\n{body}".encode())
    return reader, writer


async def read_all(reader):
    """What comes until the end, and whether that was a reset."""
    data = b""
    try:
        while part := await reader.read(65536):
            data += part
    except ConnectionResetError:
        return data, True
    return data, False


STATUSES = [
    (400, "invalid_request_error", None),
    (401, "invalid_request_error", "invalid_api_key"),
    (402, "insufficient_quota", "insufficient_quota"),
    (403, "request_forbidden", "unsupported_country_region_territory"),
    (404, "invalid_request_error", "model_not_found"),
    (418, "invalid_request_error", None),
    (429, "rate_limit_error", "rate_limit_exceeded"),
    (500, "server_error", None),
    (503, "service_unavailable_error", "server_is_overloaded"),
    (529, "overloaded_error", "overloaded"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("status", "kind", "code"), STATUSES)
async def test_status__any__has_the_fitting_body(
    fault_server, status, kind, code, stream
):
    async with fault_server.chat(f"status-{status}", stream=stream) as response:
        assert response.status == status
        assert response.content_type == "application/json"
        assert "Retry-After" not in response.headers
        error = (await response.json())["error"]
    assert (error["type"], error["code"], error["param"]) == (kind, code, None)
    assert fault_server.attempts[0].outcome == f"status-{status}"


async def test_status__other_code__replaces_it(fault_server):
    async with fault_server.chat("status-429:insufficient_quota") as response:
        error = (await response.json())["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota",) * 2


@pytest.mark.parametrize(
    ("model", "header"),
    [
        ("status-429@7", "7"),
        ("status-503@-5", "-5"),
        ("status-429@soon_or_later", "soon or later"),
    ],
)
async def test_status__retry_after__is_sent_as_named(fault_server, model, header):
    async with fault_server.chat(model) as response:
        assert response.headers["Retry-After"] == header


async def test_status__retry_after_date__is_that_far_ahead(fault_server):
    async with fault_server.chat("status-429@date:60") as response:
        ahead = parsedate_to_datetime(response.headers["Retry-After"])
        now = parsedate_to_datetime(response.headers["Date"])
    assert 59 <= (ahead - now).total_seconds() <= 61


@pytest.mark.parametrize("status", [200, 502])
async def test_html__any_status__is_a_page(fault_server, status):
    async with fault_server.chat(f"html-{status}") as response:
        assert (response.status, response.content_type) == (status, "text/html")
        assert (await response.text()).startswith("<html>")


async def test_redirect__asked_for__is_307_to_itself(fault_server):
    async with fault_server.client.post(
        f"{fault_server.url}/v1/chat/completions",
        json={"model": "redirect", "messages": [{"role": "user", "content": "x"}]},
        allow_redirects=False,
    ) as response:
        assert response.status == 307
        assert response.headers["Location"] == "/v1/chat/completions"


async def test_headers__many__are_sent(fault_server):
    async with fault_server.chat("headers@50") as response:
        assert sum(name.startswith("X-Filler-") for name in response.headers) == 50


async def test_slow__delay__comes_before_the_first_byte(fault_server):
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with fault_server.chat("slow@60ms"):
        assert loop.time() - start >= 0.06


async def test_drip__pause__comes_between_chunks(fault_server):
    loop = asyncio.get_running_loop()
    start = loop.time()
    *chunks, _done = await fault_server.events("drip@10ms:5")
    assert len(content_of(chunks)) == 5
    assert loop.time() - start >= 0.01 * (len(chunks) - 1)


async def test_drip__many_tokens__all_arrive(fault_server):
    chunks = await fault_server.events("drip@0ms:1000")
    assert len(content_of(chunks)) == 1000


@pytest.mark.parametrize("stream", [True, False])
async def test_reset__at_0__sends_nothing(fault_server, stream):
    reader, writer = await raw_chat(fault_server, "reset@0", stream=stream)
    assert await read_all(reader) == (b"", True)
    writer.close()


@pytest.mark.parametrize("after", [1, 37, 500])
async def test_reset__stream__comes_after_that_many_chunks(fault_server, after):
    reader, writer = await raw_chat(fault_server, f"reset@{after}", stream=True)
    data, was_reset = await read_all(reader)
    assert was_reset
    assert len(events_in(data.decode())) == after
    assert b"[DONE]" not in data
    writer.close()
    [attempt] = fault_server.attempts
    assert (attempt.outcome, attempt.tokens) == ("reset", after - 1)


async def test_reset__limited_stream__still_comes_before_the_finish(fault_server):
    with pytest.raises(BROKEN):
        await fault_server.events("reset@37", max_tokens=3)
    [attempt] = fault_server.attempts
    assert (attempt.outcome, attempt.tokens) == ("reset", 3)


async def test_reset__whole__comes_halfway(fault_server):
    reader, writer = await raw_chat(fault_server, "reset@1", stream=False)
    data, was_reset = await read_all(reader)
    assert was_reset
    assert data.startswith(b"HTTP/1.1 200")
    writer.close()


@pytest.mark.parametrize(
    ("model", "stream", "start"),
    [
        ("hang", False, b""),
        ("hang_headers", True, b"HTTP/1.1 200 OK\r\nContent-Type"),
        ("stall@0", True, b"HTTP/1.1 200 OK\r\n"),
        ("stall@3", True, b"HTTP/1.1 200 OK\r\n"),
        ("stall@3", False, b"HTTP/1.1 200 OK\r\n"),
    ],
)
async def test_silence__until_the_client_leaves__is_recorded(
    fault_server, model, stream, start
):
    reader, writer = await raw_chat(fault_server, model, stream=stream)
    data = b""
    while not data.startswith(start) or data.count(b"data:") < 3 * (
        stream and model == "stall@3"
    ):
        data += await reader.read(65536)
    await in_flight(fault_server, 1)
    assert not reader.at_eof()
    writer.close()
    await in_flight(fault_server, 0)
    [attempt] = fault_server.attempts
    assert attempt.outcome == "client_gone"


async def in_flight(fault_server, wanted):
    """Waits until that many calls are under way."""
    while True:
        async with fault_server.client.get(f"{fault_server.url}/_stats") as response:
            stats = await response.json()
        if sum(model["in_flight"] for model in stats.values()) == wanted:
            return


async def test_malformed__whole__is_half_a_json(fault_server):
    async with fault_server.chat("malformed") as response:
        assert response.status == 200
        text = await response.text()
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


@pytest.mark.parametrize(("model", "content"), [("malformed", 0), ("malformed@4", 4)])
async def test_malformed__stream__has_half_a_line_then_done(
    fault_server, model, content
):
    async with fault_server.chat(model, stream=True) as response:
        lines = [line for line in (await response.text()).split("\n") if line]
    *good, half, done = lines
    assert (len(good), done) == (content + 1, "data: [DONE]")
    with pytest.raises(json.JSONDecodeError):
        json.loads(half.removeprefix("data: "))


async def test_truncated__stream__ends_in_silence(fault_server):
    events = await fault_server.events("truncated@9")
    assert len(events) == 9
    assert events[-1]["choices"][0]["finish_reason"] is None
    half = await fault_server.events("truncated")
    assert len(half) > 9
    assert [attempt.outcome for attempt in fault_server.attempts] == ["truncated"] * 2


async def test_truncated__whole__is_shorter_than_announced(fault_server):
    with pytest.raises(BROKEN):
        await fault_server.answer("truncated")


@pytest.mark.parametrize("after", [0, 5])
async def test_error_event__stream__comes_after_the_content(fault_server, after):
    *chunks, error = await fault_server.events(f"error-event@{after}")
    assert len(content_of(chunks)) == after
    assert error["error"]["type"] == "server_error"
    [attempt] = fault_server.attempts
    assert (attempt.outcome, attempt.tokens) == ("error_event", after)


async def test_error_event__whole__is_an_error_under_200(fault_server):
    assert "error" in await fault_server.answer("error-event@0")


LIES = [
    ("negative", lambda u: u["completion_tokens"] < 0 and u["prompt_tokens"] < 0),
    ("huge", lambda u: u["completion_tokens"] == 10**12),
    ("string", lambda u: u["completion_tokens"] == "5000"),
    ("low", lambda u: u["completion_tokens"] == 5),
]


@pytest.mark.parametrize(("lie", "holds"), LIES)
async def test_lie_usage__kind__is_told(fault_server, lie, holds):
    model = f"lie_usage-{lie}+drip@0ms:5000"
    assert holds((await fault_server.answer(model))["usage"])
    options = {"include_usage": True}
    *_rest, last, _done = await fault_server.events(model, stream_options=options)
    assert holds(last["usage"])
    assert [attempt.tokens for attempt in fault_server.attempts] == [5000, 5000]


async def test_lie_usage__absent__is_left_out(fault_server):
    assert "usage" not in await fault_server.answer("lie_usage-absent")
    *chunks, _done = await fault_server.events(
        "lie_usage-absent", stream_options={"include_usage": True}
    )
    assert chunks[-1]["choices"]
    assert {chunk["usage"] for chunk in chunks} == {None}


async def test_huge__whole__is_valid_json_of_that_size(fault_server):
    body = await fault_server.answer("huge@1MB")
    text = body["choices"][0]["message"]["content"]
    assert len(text) == 1_000_000
    [attempt] = fault_server.attempts
    assert attempt.tokens == body["usage"]["completion_tokens"] == 200_000
    assert attempt.usage == body["usage"]


async def test_bomb__small_body__unpacks_to_a_large_json(fault_server):
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        fault_server.client, session = client, fault_server.client
        async with fault_server.chat("bomb@5MB") as response:
            assert response.headers["Content-Encoding"] == "deflate"
            packed = await response.read()
        fault_server.client = session
    body = json.loads(zlib.decompress(packed, -zlib.MAX_WBITS))
    assert len(packed) < 50_000
    assert len(body["choices"][0]["message"]["content"]) == 5_000_000


async def test_flaky__percent__is_exact_in_each_hundred(fault_server):
    statuses = []
    for _ in range(200):
        async with fault_server.chat("flaky@30") as response:
            statuses.append(response.status)
    assert statuses[:100].count(500) == statuses[100:].count(500) == 30


async def test_flaky__other_fault__is_what_happens(fault_server):
    for model, status in (("flaky@100+status-503", 503), ("flaky@0+status-503", 200)):
        async with fault_server.chat(model) as response:
            assert response.status == status
