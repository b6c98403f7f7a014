"""Overrides, counts and models of the demo provider."""

import asyncio

import pytest

from valuecanvas.embedded.demo_provider.server import Options, start


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
    assert (await call(demo_server, "POST", "/_control", json=order))[0] == 200
    assert await status_of(demo_server, "acme/large-2") == 503
    assert await status_of(demo_server, "acme/small-2") == 200
    order["behaviour"] = "acme/large-2"
    await call(demo_server, "POST", "/_control", json=order)
    assert await status_of(demo_server, "acme/large-2") == 200


@pytest.mark.parametrize(
    "body", ["{", "[]", "{}", '{"model": "x", "behaviour": "hagn"}', '{"behaviour": 1}']
)
async def test_control__nonsense__is_refused(demo_server, body):
    status, answer = await call(demo_server, "POST", "/_control", data=body)
    assert status == 400
    assert answer["error"]["message"].startswith("Not a model and a behaviour")


async def test_stats__calls__are_counted_by_model(demo_server):
    await demo_server.answer("ok")
    await status_of(demo_server, "status-429")
    pending = asyncio.create_task(demo_server.answer("hang"))
    while (stats := (await call(demo_server, "GET", "/_stats"))[1]).keys() != {
        "ok",
        "status-429",
        "hang",
    }:
        await asyncio.sleep(0.005)
    assert stats["ok"] == stats["status-429"] == {"requests": 1, "in_flight": 0}
    assert stats["hang"] == {"requests": 1, "in_flight": 1}
    pending.cancel()


async def test_key__revoked__is_refused_everywhere(demo_server):
    demo_server.client.headers["Authorization"] = "Bearer revoked-1"
    assert await status_of(demo_server, "ok") == 401
    status, body = await call(demo_server, "GET", "/v1/models")
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")


async def test_server__without_control__has_no_drill_endpoints(demo_server):
    runner, port = await start(Options())
    demo_server.url = f"http://127.0.0.1:{port}"
    for method, path in (
        ("POST", "/_control"),
        ("GET", "/_stats"),
    ):
        assert (await call(demo_server, method, path))[0] == 404
    body = (await call(demo_server, "GET", "/v1/models"))[1]
    assert [model["id"] for model in body["data"]] == ["demo", "demo-embedding"]
    await runner.cleanup()


async def test_start__any_server__listens_on_loopback_alone():
    runner, port = await start(Options())
    assert runner.addresses == [("127.0.0.1", port)]
    await runner.cleanup()


async def test_start__taken_port__raises_and_leaves_nothing():
    runner, port = await start(Options())
    with pytest.raises(OSError, match="address"):
        await start(Options(port=port))
    await runner.cleanup()


async def test_start__shutdown_with_a_call_in_flight__is_recorded(
    demo_server, tmp_path
):
    runner, port = await start(Options(send_log=tmp_path / "down"))
    demo_server.url = f"http://127.0.0.1:{port}"
    demo_server.send_log = tmp_path / "down"
    pending = asyncio.create_task(demo_server.answer("hang"))
    while not demo_server.attempts:
        await asyncio.sleep(0.005)
    await runner.cleanup()
    assert demo_server.attempts[0].outcome == "client_gone"
    with pytest.raises(Exception, match="disconnected"):
        await pending
