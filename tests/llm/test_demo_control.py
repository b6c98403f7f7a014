"""Overrides, counts and models of the demo provider."""

import asyncio

import pytest

from valuecanvas.embedded.demo_provider import server
from valuecanvas.embedded.demo_provider.server import is_loopback, start


async def call(demo_server, method, path, **fields):
    """Status and JSON of a request to the server's root."""
    url = f"{demo_server.url}{path}"
    async with demo_server.client.request(method, url, **fields) as response:
        return response.status, await response.json()


async def status_of(demo_server, model):
    """The status of a chat."""
    async with demo_server.chat(model) as response:
        return response.status


async def test_control__override__holds_until_reset(demo_server):
    order = {"model": "acme/large-2", "behaviour": "status-503"}
    assert await call(demo_server, "POST", "/_control", json=order) == (
        200,
        {"acme/large-2": "status-503"},
    )
    assert await status_of(demo_server, "acme/large-2") == 503
    assert await status_of(demo_server, "acme/small-2") == 200
    assert await call(demo_server, "GET", "/_control") == (
        200,
        {"acme/large-2": "status-503"},
    )
    await call(demo_server, "DELETE", "/_control")
    assert await status_of(demo_server, "acme/large-2") == 200


async def test_control__star__holds_for_all_models_but_named_ones(demo_server):
    for order in ({"behaviour": "status-500"}, {"model": "a-1", "behaviour": "ok"}):
        await call(demo_server, "POST", "/_control", json=order)
    assert await status_of(demo_server, "b-1") == 500
    assert await status_of(demo_server, "a-1") == 200
    assert (await call(demo_server, "GET", "/v1/models"))[0] == 500
    await call(demo_server, "DELETE", "/_control?model=*")
    assert await status_of(demo_server, "b-1") == 200


@pytest.mark.parametrize(
    "body", ["{", "[]", "{}", '{"model": "x", "behaviour": "hagn"}', '{"behaviour": 1}']
)
async def test_control__nonsense__is_refused(demo_server, body):
    status, answer = await call(demo_server, "POST", "/_control", data=body)
    assert status == 400
    assert answer["error"]["message"].startswith("Not a model and a behaviour")


async def test_stats__calls__are_counted_by_model_and_end(demo_server):
    await demo_server.answer("ok")
    await status_of(demo_server, "status-429")
    pending = asyncio.create_task(demo_server.answer("hang"))
    while (stats := (await call(demo_server, "GET", "/_stats"))[1]).keys() != {
        "ok",
        "status-429",
        "hang",
    }:
        await asyncio.sleep(0.005)
    assert stats["ok"] == {"requests": 1, "in_flight": 0, "ends": {"done": 1}}
    assert stats["status-429"]["ends"] == {"status-429": 1}
    assert stats["hang"] == {"requests": 1, "in_flight": 1, "ends": {}}
    await call(demo_server, "DELETE", "/_control")
    stats = (await call(demo_server, "GET", "/_stats"))[1]
    assert stats["ok"] == {"requests": 0, "in_flight": 0, "ends": {}}
    assert stats["hang"] == {"requests": 1, "in_flight": 1, "ends": {}}
    pending.cancel()


async def test_models__under_control__lists_an_example_of_each(demo_server):
    status, body = await call(demo_server, "GET", "/v1/models")
    names = [model["id"] for model in body["data"]]
    assert status == 200
    assert {"demo", "ok-31", "reset@37", "demo-embedding"} <= set(names)
    assert len(names) == len(set(names))


async def test_model__any_name_that_answers__is_described(demo_server):
    for name in ("demo", "acme/large-2", "ok-31+slow@5ms"):
        status, body = await call(demo_server, "GET", f"/v1/models/{name}")
        assert (status, body["id"], body["object"]) == (200, name, "model")
    status, body = await call(demo_server, "GET", "/v1/models/hagn")
    assert (status, body["error"]["code"]) == (404, "model_not_found")


async def test_server__without_control__has_no_drill_endpoints(demo_server):
    runner, port = await start()
    demo_server.url = f"http://127.0.0.1:{port}"
    for method, path in (
        ("GET", "/_control"),
        ("POST", "/_control"),
        ("DELETE", "/_control"),
        ("GET", "/_stats"),
    ):
        assert (await call(demo_server, method, path))[0] == 404
    body = (await call(demo_server, "GET", "/v1/models"))[1]
    assert [model["id"] for model in body["data"]] == ["demo", "demo-embedding"]
    await runner.cleanup()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", ""])
async def test_start__host_off_loopback__is_refused(host):
    with pytest.raises(ValueError, match="loopback only"):
        await start(host)


async def test_start__taken_port__raises_and_leaves_nothing():
    runner, port = await start()
    with pytest.raises(OSError, match="address"):
        await start(port=port)
    await runner.cleanup()


async def test_start__shutdown_with_a_call_in_flight__is_recorded(
    demo_server, tmp_path
):
    runner, port = await start(referee=tmp_path / "down")
    demo_server.url = f"http://127.0.0.1:{port}"
    demo_server.referee = tmp_path / "down"
    pending = asyncio.create_task(demo_server.answer("hang"))
    while not demo_server.attempts:
        await asyncio.sleep(0.005)
    await runner.cleanup()
    assert demo_server.attempts[0].how == "shutdown"
    with pytest.raises(Exception, match="disconnected"):
        await pending


def test_is_loopback__names_and_addresses__are_told_apart():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("10.0.0.1", "::", "localhost.example.com")))


def test_loop_factory__without_uvloop__is_asyncio(monkeypatch):
    monkeypatch.setattr(server, "uvloop", None)
    assert server._loop_factory() is asyncio.new_event_loop
