"""The proxy itself: each of its faults is felt, counted, and lifted again."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults import toxic
from tests.faults.toxic import Fault, Toxic

BLOB = b"x" * 50_000


@pytest.fixture
def target() -> Iterator[int]:
    """A server that answers each line with a blob, and then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                if connection.recv(100):
                    connection.sendall(BLOB)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def proxy(target: int) -> Iterator[Toxic]:
    made = Toxic(("127.0.0.1", target))
    yield made
    made.close()


def fetch(port: int, within_s: float = 5.0) -> bytes:
    """All that comes back. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), within_s) as connection:
        connection.sendall(b"line\n")
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
        return b"".join(parts)


def test_toxic__no_fault__passes_everything(proxy: Toxic) -> None:
    assert fetch(proxy.port) == BLOB
    assert proxy.injected == {}
    assert proxy.url("redis://:a@h:1/0") == f"redis://:a@127.0.0.1:{proxy.port}/0"


@pytest.mark.parametrize(
    "fault", [toxic.Latency(0.02), toxic.Slicer(10_000, 0.002), toxic.SlowClose(0.05)]
)
def test_toxic__slow_faults__are_late_and_complete(proxy: Toxic, fault: Fault) -> None:
    with proxy.having(fault):
        began = time.monotonic()
        assert fetch(proxy.port) == BLOB
        assert time.monotonic() - began >= 0.01
    assert proxy.injected[type(fault).__name__] > 0


def test_toxic__limit_data__ends_the_answer_there(proxy: Toxic) -> None:
    with proxy.having(toxic.LimitData(123)):
        assert len(fetch(proxy.port)) == 123
    assert proxy.injected["LimitData"] == 1
    assert fetch(proxy.port) == BLOB


def test_toxic__reset_peer__resets(proxy: Toxic) -> None:
    with proxy.having(toxic.ResetPeer()), pytest.raises(ConnectionResetError):
        fetch(proxy.port)
    assert proxy.injected["ResetPeer"] == 1


def test_toxic__down__refuses_and_comes_back_at_the_same_port(proxy: Toxic) -> None:
    with proxy.having(toxic.Down()), pytest.raises(ConnectionRefusedError):
        fetch(proxy.port)
    assert fetch(proxy.port) == BLOB
    assert proxy.injected["Down"] == 1


def test_toxic__timeout__holds_everything_until_it_is_lifted(proxy: Toxic) -> None:
    proxy.set(toxic.Timeout())
    with pytest.raises(TimeoutError):
        fetch(proxy.port, within_s=0.1)
    threading.Timer(0.1, proxy.clear).start()
    assert fetch(proxy.port) == BLOB
    assert proxy.injected["Timeout"] == 2
