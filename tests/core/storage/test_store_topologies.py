"""The store at a node of a cluster, and at a primary that a failover replaces."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured

from valuecanvas.core.storage.store import Script, Store, StoreDown
from valuecanvas.embedded import binaries
from valuecanvas.embedded.processes import Engine, free_port

SLOTS = 16_384
PATIENCE_S = 60.0
WRITE = Script.make("return redis.call('SET', KEYS[1], ARGV[1])")


@contextmanager
def node(folder: Path, *arguments: str) -> Iterator["redis.Redis"]:
    """A Valkey of its own with these arguments."""
    folder.mkdir()
    # Sentinel writes into it.
    (folder / "own.conf").touch()
    port = free_port()
    own = ["--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(
        [binaries.valkey(), "own.conf", *own, *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            client = redis.Redis(port=port)
            until(client.ping)
            with client:
                yield client
        finally:
            process.kill()


def until(look: Any) -> None:
    """Wait until it is true and no error."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(redis.RedisError):
            if look():
                return
        time.sleep(0.05)
    raise TimeoutError


def share_slots(nodes: Sequence["redis.Redis"]) -> None:
    """A cluster of these nodes, each with its part of the slots."""
    size = SLOTS // len(nodes)
    for number, one in enumerate(nodes):
        last = SLOTS if one is nodes[-1] else (number + 1) * size
        one.execute_command("CLUSTER ADDSLOTSRANGE", number * size, last - 1)
        one.execute_command("CLUSTER MEET", "127.0.0.1", port_of(nodes[0]))
    until(lambda: size_of(nodes[-1]) == len(nodes))


def size_of(client: "redis.Redis") -> int:
    """How many parts of the cluster this node knows."""
    found: Any = client.execute_command("CLUSTER INFO")
    return int(found["cluster_size"])


def port_of(client: "redis.Redis") -> int:
    return int(client.connection_pool.connection_kwargs["port"])


def store_at(client: "redis.Redis") -> Store:
    return Store(f"redis://127.0.0.1:{port_of(client)}/0", timeout_s=5, prefix="t")


async def test_cluster__of_several_parts__is_refused(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(node(tmp_path / f"{n}", "--cluster-enabled", "yes"))
            for n in range(2)
        ]
        share_slots(nodes)
        store = store_at(nodes[1])
        with pytest.raises(ImproperlyConfigured, match="one of 2 parts of a Redis"):
            await store.refuse_cluster()
        await store.close()


async def test_cluster__of_one_part__is_used_as_any_other(tmp_path: Path) -> None:
    with node(tmp_path / "one", "--cluster-enabled", "yes") as only:
        share_slots([only])
        store = store_at(only)
        await store.refuse_cluster()
        until(lambda: only.set("is_up", 1))
        assert await store.run(WRITE, "key", "value") == b"OK"
        await store.close()


async def test_cluster__none_or_nobody_there__is_not_refused(
    store: Store, own_valkey: Engine
) -> None:
    await store.refuse_cluster()
    assert own_valkey.process is not None
    own_valkey.process.kill()
    away = Store(own_valkey.url, timeout_s=5, prefix="t")
    await away.refuse_cluster()
    await away.close()


async def test_primary__demoted__is_left_by_all_connections(own_valkey: Engine) -> None:
    store = Store(own_valkey.url, timeout_s=5, prefix="t")
    with redis.Redis.from_url(own_valkey.url) as direct:
        assert await store.run(WRITE, "key", "1") == b"OK"
        before = names(direct)
        direct.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreDown):
            await store.run(WRITE, "key", "2")
        direct.replicaof("NO", "ONE")
        assert await store.run(WRITE, "key", "3") == b"OK"
        assert not before & names(direct)
    await store.close()


@asynccontextmanager
async def following(sentinel: "redis.Redis") -> AsyncIterator[int]:
    """The port of a proxy that leads each new connection to Sentinel's primary."""
    open_now: set[asyncio.StreamWriter] = set()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        primary: Any = sentinel.sentinel_get_master_addr_by_name("it")
        with suppress(OSError):
            there, onward = await asyncio.open_connection(*primary)
            open_now.update((writer, onward))
            await asyncio.wait(
                [
                    asyncio.create_task(pump(*two))
                    for two in ((reader, onward), (there, writer))
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            onward.close()
        writer.close()

    async with await asyncio.start_server(lead, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for one in open_now:
            one.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)


async def test_primary__dead__sentinel_s_next_one_is_used_at_the_same_address(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(node(tmp_path / "first"))
        second = stack.enter_context(node(tmp_path / "second"))
        second.replicaof("127.0.0.1", port_of(first))
        until(lambda: second.info("replication")["master_link_status"] == "up")
        sentinel = stack.enter_context(node(tmp_path / "sentinel", "--sentinel"))
        sentinel.sentinel_monitor("it", "127.0.0.1", port_of(first), 1)
        sentinel.sentinel_set("it", "down-after-milliseconds", 500)
        until(lambda: sentinel.sentinel_slaves("it"))
        async with following(sentinel) as port:
            store = Store(f"redis://127.0.0.1:{port}/0", timeout_s=2, prefix="t")
            assert await store.run(WRITE, "key", "1") == b"OK"
            first.shutdown(nosave=True)
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                with suppress(StoreDown):
                    await store.run(WRITE, "key", "2")
                    break
                await asyncio.sleep(0.1)
            assert second.get("key") == b"2"
            await store.close()


def names(direct: "redis.Redis") -> set[str]:
    """The connections of others."""
    mine = direct.client_id()
    return {one["id"] for one in direct.client_list() if one["id"] != str(mine)}
