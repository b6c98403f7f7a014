"""The TCP server of the tests leaves no socket open, whenever a client comes."""

import asyncio
import gc
import socket

import pytest

from tests.tcp import tcp_server


async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("rounds", range(6))
async def test_tcp_server__a_client_just_before_the_end__has_its_socket_closed(
    rounds: int,
) -> None:
    async with tcp_server(read_all) as port:
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        for _ in range(rounds):
            await asyncio.sleep(0)
    client.close()
    gc.collect()  # an open socket is an error of the test from here on
