"""Overrides, counts and models of the fault provider."""

import asyncio

import pytest

from tests.fault_provider.server import FaultProvider
from tests.fixtures_demo import start


async def call(fault_server, method, path, **fields):
    """Status and JSON of a request to the server's root."""
    url = f"{fault_server.url}{path}"
    async with fault_server.client.request(method, url, **fields) as response:
        return response.status, await response.json()


async def status_of(fault_server, model):
    """The status of a chat."""
    async with fault_server.chat(model) as response:
        return response.status


async def test_control__override__holds_until_reset(fault_server):
    order = {"model": "acme/large-2", "behaviour": "status-503"}
    assert (await call(fault_server, "POST", "/_control", json=order))[0] == 200
    assert await status_of(fault_server, "acme/large-2") == 503
    assert await status_of(fault_server, "acme/small-2") == 200
    order["behaviour"] = "acme/large-2"
    await call(fault_server, "POST", "/_control", json=order)
    assert await status_of(fault_server, "acme/large-2") == 200


@pytest.mark.parametrize(
    "body", ["{", "[]", "{}", '{"model": "x", "behaviour": "hagn"}', '{"behaviour": 1}']
)
async def test_control__nonsense__is_refused(fault_server, body):
    status, answer = await call(fault_server, "POST", "/_control", data=body)
    assert status == 400
    assert answer["error"]["message"].startswith("Not a model and a behaviour")


async def test_stats__calls__are_counted_by_model(fault_server):
    await fault_server.answer("ok")
    await status_of(fault_server, "status-429")
    pending = asyncio.create_task(fault_server.answer("hang"))
    while (stats := (await call(fault_server, "GET", "/_stats"))[1]).keys() != {
        "ok",
        "status-429",
        "hang",
    }:
        await asyncio.sleep(0.005)
    assert stats["ok"] == stats["status-429"] == {"requests": 1, "in_flight": 0}
    assert stats["hang"] == {"requests": 1, "in_flight": 1}
    pending.cancel()


async def test_key__revoked__is_refused_everywhere(fault_server):
    fault_server.client.headers["Authorization"] = "Bearer revoked-1"
    assert await status_of(fault_server, "ok") == 401
    status, body = await call(fault_server, "GET", "/v1/models")
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")


async def test_server__without_control__has_no_drill_endpoints(fault_server):
    runner, port = await start(FaultProvider())
    fault_server.url = f"http://127.0.0.1:{port}"
    for method, path in (
        ("POST", "/_control"),
        ("GET", "/_stats"),
    ):
        assert (await call(fault_server, method, path))[0] == 404
    body = (await call(fault_server, "GET", "/v1/models"))[1]
    assert [model["id"] for model in body["data"]] == ["demo", "demo-embedding"]
    await runner.cleanup()


async def test_start__shutdown_with_a_call_in_flight__is_recorded(
    fault_server, tmp_path
):
    runner, port = await start(FaultProvider(tmp_path / "down"))
    fault_server.url = f"http://127.0.0.1:{port}"
    fault_server.send_log = tmp_path / "down"
    pending = asyncio.create_task(fault_server.answer("hang"))
    while not fault_server.attempts:
        await asyncio.sleep(0.005)
    await runner.cleanup()
    assert fault_server.attempts[0].outcome == "client_gone"
    with pytest.raises(Exception, match="disconnected"):
        await pending
