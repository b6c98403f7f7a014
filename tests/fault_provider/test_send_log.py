"""The send log: what was written for each attempt."""

import asyncio
import json
import socket
import struct

import pytest

from tests.demo_process import read_attempts
from tests.fault_provider.send_log import Counts, LoggedCall

START = {
    "attempt": "a",
    "model": "m",
    "endpoint": "/v1/x",
    "stream": True,
    "prompt_tokens": 3,
}


async def attempt_of(fault_server, name, model, **fields):
    """A chat under an attempt id; then what the send log has of it."""
    fault_server.client.headers["x-valuecanvas-attempt"] = name
    async with fault_server.chat(model, **fields) as response:
        await response.read()
    return [a for a in fault_server.attempts if a.attempt == name]


@pytest.mark.parametrize("stream", [True, False])
async def test_send_log__finished_call__has_its_tokens_and_usage(fault_server, stream):
    options = {"stream_options": {"include_usage": True}} if stream else {}
    [attempt] = await attempt_of(
        fault_server, "try-1", "ok-31", stream=stream, **options
    )
    size = 28 if stream else 29
    assert (attempt.model, attempt.stream) == ("ok-31", stream)
    assert attempt.endpoint == "/v1/chat/completions"
    assert (attempt.outcome, attempt.tokens, attempt.prompt_tokens) == ("done", size, 1)
    assert attempt.usage["completion_tokens"] == size
    assert attempt.ended_at >= attempt.at


async def test_send_log__stream_without_usage__says_so(fault_server):
    [attempt] = await attempt_of(fault_server, "try-1", "ok-31", stream=True)
    assert (attempt.tokens, attempt.usage) == (29, None)


async def test_send_log__no_id__makes_one(fault_server):
    await fault_server.answer("ok-31")
    await fault_server.answer("ok-31")
    assert len({attempt.attempt for attempt in fault_server.attempts}) == 2


async def test_send_log__same_id_twice__keeps_both(fault_server):
    await attempt_of(fault_server, "twin", "ok-31")
    attempts = await attempt_of(fault_server, "twin", "status-500")
    assert [(a.model, a.outcome) for a in attempts] == [
        ("ok-31", "done"),
        ("status-500", "status-500"),
    ]


async def test_send_log__client_leaves_mid_stream__counts_what_was_written(
    fault_server,
):
    async with fault_server.chat("drip@5ms:10000", stream=True) as response:
        async for line in response.content:
            if b'"content":"Hello"' in line:
                break
        response.close()
    while (attempt := fault_server.attempts[0]).outcome is None:
        await asyncio.sleep(0.005)
    assert attempt.outcome == "client_gone"
    assert 1 <= attempt.tokens < 10_000


async def test_send_log__reader_stops_reading__counts_only_what_the_kernel_took(
    fault_server,
):
    async with fault_server.chat("drip@0ms:1000000", stream=True) as response:
        await response.content.readexactly(1000)
        seen = -1
        while seen != (seen := fault_server.attempts[0].tokens):
            await asyncio.sleep(0.1)
        response.close()
    while (attempt := fault_server.attempts[0]).outcome is None:
        await asyncio.sleep(0.005)
    assert attempt.outcome == "client_gone"
    assert 0 < seen <= attempt.tokens < 1_000_000


async def test_send_log__client_resets_amid_writes__is_client_gone(fault_server):
    port = int(fault_server.url.rpartition(":")[2])
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": "drip@0ms:100000", "stream": True, "messages": messages}
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
        data = json.dumps(body).encode()
        client.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        while not fault_server.attempts or not fault_server.attempts[0].tokens:
            await asyncio.sleep(0)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    while (attempt := fault_server.attempts[0]).outcome is None:
        await asyncio.sleep(0.005)
    assert attempt.outcome == "client_gone"
    assert attempt.tokens < 100_000


async def test_send_log__whole_answer_read_slowly__is_done_once_it_is_out(fault_server):
    async with fault_server.chat("drip@0ms:2000000") as response:
        await response.content.readexactly(1000)
        assert fault_server.attempts[0].tokens == 0
        await response.read()
    while (attempt := fault_server.attempts[0]).outcome is None:
        await asyncio.sleep(0.005)
    assert (attempt.outcome, attempt.tokens) == ("done", 2_000_000)


async def test_send_log__client_leaves_before_the_answer__is_client_gone(fault_server):
    async def ask():
        async with fault_server.chat("slow@30s"):
            raise AssertionError("nothing was to come")

    task = asyncio.create_task(ask())
    while not fault_server.attempts:
        await asyncio.sleep(0.005)
    task.cancel()
    while (attempt := fault_server.attempts[0]).outcome is None:
        await asyncio.sleep(0.005)
    assert (attempt.outcome, attempt.tokens) == ("client_gone", 0)


async def test_send_log__unsafe_id__stays_within_the_folder(fault_server):
    for name in ("../../etc/passwd", ".hidden", "a" * 300, "a/b"):
        assert await attempt_of(fault_server, name, "ok-31")
    assert len(list(fault_server.send_log.glob("*.jsonl"))) == 4


def test_read_attempts__killed_while_writing__gives_the_last_whole_line(tmp_path):
    call = LoggedCall(Counts(), tmp_path, START)
    call.count_sent(2)
    call.count_sent(0)
    call.count_sent(3)
    [path] = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(b'{"tok')
    [attempt] = read_attempts(tmp_path)
    assert (attempt.tokens, attempt.outcome, attempt.ended_at) == (5, None, None)
    call.end()


def test_read_attempts__empty_file__has_none(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert read_attempts(tmp_path) == []
