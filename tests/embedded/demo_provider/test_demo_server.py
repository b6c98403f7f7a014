"""The demo provider's behaviours, its errors, and running it."""

import asyncio
import socket

import pytest
from aiohttp import web
from django.core.management import CommandError, call_command

from llm.management.commands import demo_provider as command
from tests.fixtures_demo import content_of
from valuecanvas.embedded.demo_provider.behaviour import Behaviour, find_behaviour
from valuecanvas.embedded.demo_provider.server import DemoProvider, serve


@pytest.mark.parametrize(
    ("name", "behaviour"),
    [
        ("demo", Behaviour()),
        ("acme/large-2-chat", Behaviour()),
        ("slow@500ms", Behaviour(delay=0.5)),
        ("slow@1.5s", Behaviour(delay=1.5)),
        ("drip@20ms", Behaviour(pause=0.02)),
        ("status-429", Behaviour(status=429)),
        ("status-200", Behaviour()),
        ("slow@5", Behaviour()),
        ("like@300ms:1.5s", Behaviour(delay=0.3, p95=1.5)),
        ("like@0ms:1.5s", Behaviour()),
        ("like@2s:1s", Behaviour()),
    ],
)
def test_find_behaviour__name__says_it(name, behaviour):
    assert find_behaviour(name) == behaviour


def test_delay_of__like__has_the_stated_quantiles_and_repeats() -> None:
    like = find_behaviour("like@300ms:1.5s")
    bodies = [b"request %d" % number for number in range(4000)]
    delays = sorted(like.delay_of(body) for body in bodies)
    assert sum(delay <= 0.3 for delay in delays) == pytest.approx(2000, abs=100)
    assert sum(delay <= 1.5 for delay in delays) == pytest.approx(3800, abs=50)
    assert like.delay_of(bodies[0]) == like.delay_of(bodies[0])
    assert find_behaviour("slow@2s").delay_of(b"") == 2


@pytest.mark.parametrize("demo_server", ["demo"], indirect=True)
async def test_like__delay__comes_before_the_first_byte(demo_server):
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with demo_server.chat("like@60ms:60ms"):
        assert loop.time() - start >= 0.06


async def test_slow__delay__comes_before_the_first_byte(demo_server):
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with demo_server.chat("slow@60ms"):
        assert loop.time() - start >= 0.06


async def test_drip__pause__comes_between_chunks(demo_server):
    loop = asyncio.get_running_loop()
    start = loop.time()
    *chunks, _done = await demo_server.events("drip@2ms")
    assert len(content_of(chunks)) > 10
    assert loop.time() - start >= 0.002 * (len(chunks) - 1)


@pytest.mark.parametrize("stream", [True, False])
async def test_status__any__has_the_fitting_body(demo_server, stream):
    async with demo_server.chat("status-503", stream=stream) as response:
        assert response.status == 503
        error = (await response.json())["error"]
    assert error["code"] == "server_is_overloaded"


async def test_models__seeded__are_listed(demo_server):
    async with demo_server.client.get(f"{demo_server.url}/v1/models") as response:
        models = (await response.json())["data"]
    assert [model["id"] for model in models] == ["demo", "demo-embedding"]


async def test_stream__client_leaves__is_no_error(demo_server, caplog):
    async with demo_server.chat("drip@1ms", stream=True) as response:
        await response.content.readline()
        response.close()
    await demo_server.answer("demo")
    assert not caplog.records


async def test_stream__write_to_a_client_who_left__is_no_error(
    demo_server, caplog, monkeypatch
):
    async def write(response, data):
        raise ConnectionResetError

    monkeypatch.setattr(web.StreamResponse, "write", write)
    async with demo_server.chat("demo", stream=True) as response:
        response.close()
    await demo_server.answer("demo")
    assert not caplog.records


def test_serve__any_port__is_on_loopback_alone(monkeypatch):
    lines, served = [], []
    monkeypatch.setattr(web, "run_app", lambda app, **fields: served.append(fields))
    serve(DemoProvider(), 0, lines.append)
    [fields] = served
    with fields["sock"] as listener:
        host, port = listener.getsockname()
    fields["loop"].close()
    assert host == "127.0.0.1"
    assert lines == [f"demo provider listening on http://127.0.0.1:{port}/v1"]


def test_serve__taken_port__raises_and_announces_nothing():
    lines = []
    refused = pytest.raises(OSError, match="Address already in use")
    with socket.create_server(("127.0.0.1", 0)) as taken, refused:
        serve(DemoProvider(), taken.getsockname()[1], lines.append)
    assert lines == []


def test_command__port__reaches_the_server(monkeypatch, capsys):
    served = []

    def serve(provider, port, announce):
        served.append((type(provider), port))
        announce("demo provider listening on http://127.0.0.1:1/v1")

    monkeypatch.setattr(command, "serve", serve)
    call_command(command.Command(), "--port=1")
    assert served == [(DemoProvider, 1)]
    assert capsys.readouterr().out.endswith("127.0.0.1:1/v1\n")


def test_command__port_taken__is_a_command_error(demo_provider):
    with pytest.raises(CommandError, match="Address already in use"):
        call_command(command.Command(), f"--port={demo_provider.port}")
