"""kill -9 of a gateway: what it left open is settled by the next one, within seconds."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from billing.models import IdempotencyKey, Usage
from tests.billing.sessions import locked_counters, wait_for_blocked
from tests.invariants import assert_books_balance
from tests.live.server import LiveServer, live_server
from tests.live.shared import offered, said
from tests.live.wire import OpenStream, content, wire_events
from tests.live.world import World, unique

pytestmark = pytest.mark.live

STREAMS = 8
Start = Callable[..., AbstractContextManager[LiveServer]]


@pytest.fixture
def start(server_env: dict[str, str], tmp_path: Path, world: World) -> Start:
    """Starts gateways that `world` then talks to, with one journal folder."""
    journals = tmp_path / "journals"
    prefix = unique("crash")

    @contextmanager
    def started(**env: str) -> Iterator[LiveServer]:
        own = {"JOURNAL_DIR": str(journals), "REDIS_PREFIX": prefix}
        folder = tmp_path / unique("server")
        folder.mkdir()
        with live_server(folder, {**server_env, **own, **env}) as server:
            world.port = server.port
            yield server

    return started


def kill(server: LiveServer) -> None:
    server.process.kill()
    assert server.process.wait(60) == -signal.SIGKILL


def ended(world: World) -> None:
    """Return once nothing of the customer is reserved any more."""
    world.eventually(lambda: world.reserved_now() == 0)
    world.db(assert_books_balance)


def test_kill__streams_under_way__two_processes_bill_what_was_delivered(
    world: World, start: Start
) -> None:
    served = world.serve("drip@20ms:300")
    with start() as first:
        with ExitStack() as stack:
            streams = []
            for _ in range(STREAMS):
                # Of the same request, or they would share one call.
                stream = stack.enter_context(
                    OpenStream(world, served.model, cache_control="no-store")
                )
                stream.event_with(b'"content":"')
                streams.append(stream)
            kill(first)
            seen = {one.request_id: one.everything() for one in streams}
        assert world.reserved() == STREAMS
    with start(), start():
        ended(world)
    for request_id, body in seen.items():
        row = world.usage(request_id)
        assert (row.status, row.error_code) == ("abandoned", "process_died")
        assert (row.source, row.marks) == ("journal", ["estimated"])
        delivered = len(content(wire_events(body)))
        assert delivered <= row.completion_tokens <= world.attempt(request_id).tokens
    assert world.counter()[0] == STREAMS
    assert len(world.usage_rows()) == STREAMS


def test_kill__with_an_idempotency_key__it_is_free_again_once_settled(
    world: World, start: Start
) -> None:
    key = unique("key")
    with offered(world, "slow@60s") as offer:
        with start() as first, OpenStream(
            world, offer.model, wait=False, idempotency_key=key
        ):  # fmt: skip
            while not offer.calls:
                time.sleep(0.01)
            kill(first)
        assert world.db(IdempotencyKey.objects.filter(done=False).count) == 1
        world.demo.override(offer.upstream_model, "ok")
        with start():
            ended(world)
            answer = offer.ask(idempotency_key_header=key)
            assert said(answer)
            assert "idempotent-replayed" not in answer.headers


def test_kill__before_anything_was_sent__gives_it_all_back(
    world: World, start: Start
) -> None:
    with offered(world) as offer:
        with start(VALUECANVAS_FAILPOINT="after_reserve_commit") as first:
            with pytest.raises(OSError):
                offer.ask()
            assert first.process.wait(60) == -signal.SIGKILL
        assert world.reserved() == 1
        assert offer.calls == 0
        with start():
            ended(world)
    assert world.counter() == (0, 0, 0)
    assert not world.db(Usage.objects.filter(customer_id=world.customer.pk).exists)


@contextmanager
def connecting() -> Iterator[tuple[str, threading.Event]]:
    """A URL where connections are taken and never become TLS; and when one was."""
    taken = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                kept.append(listener.accept()[0])
                taken.set()

        kept: list[socket.socket] = []
        thread = threading.Thread(target=accept)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1", taken
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in kept:
            one.close()


@pytest.mark.parametrize("before", [[], ["status-500"]])
def test_kill__while_connecting__bills_nothing(
    world: World, start: Start, before: list[str]
) -> None:
    """Also where another provider had the request, and failed."""
    with connecting() as (url, taken):
        routes = [(world.demo.url, one) for one in before]
        served = world.serve_at(*routes, (url, "ok"))
        with start(LLM_CONNECT_TIMEOUT_S="30") as first, ThreadPoolExecutor(1) as pool:
            asked = pool.submit(world.chat, served.model)
            assert taken.wait(30)
            assert world.reserved() == 1
            kill(first)
            with pytest.raises(OSError):
                asked.result()
        with start():
            ended(world)
    assert world.counter() == (0, 0, 0)
    assert not world.usage_rows()


def test_kill__with_slots_taken__frees_them_once_settled(
    world: World, start: Start
) -> None:
    world.customer.concurrent_requests = 1
    world.db(world.customer.save)
    served, quick = world.serve("drip@20ms:3000"), world.serve("ok")
    with start() as first, OpenStream(world, served.model) as stream:
        stream.event_with(b'"content":"')
        assert world.chat(quick.model).status == 429
        kill(first)
    with start():
        world.eventually(lambda: world.chat(quick.model).status == 200)


def test_kill__counted_and_not_admitted_yet__frees_the_slot_once_settled(
    world: World, start: Start
) -> None:
    world.customer.concurrent_requests = 1
    world.db(world.customer.save)
    quick = world.serve("ok")
    with start() as first, ThreadPoolExecutor(1) as pool:
        assert world.chat(quick.model).status == 200
        with locked_counters() as session:
            asked = pool.submit(world.chat, quick.model)
            wait_for_blocked(session)
            kill(first)
        with pytest.raises((OSError, HTTPException)):
            asked.result()
    with start():
        world.eventually(lambda: world.chat(quick.model).status == 200)


@pytest.mark.parametrize("stream", [False, True])
def test_kill__while_a_whole_answer_is_settled__is_no_abandoned_one(
    world: World, start: Start, stream: bool
) -> None:
    served = world.serve("ok")
    with start(VALUECANVAS_FAILPOINT="inside_settle") as first:
        with suppress(OSError, HTTPException):
            world.chat(served.model, stream=stream)
        assert first.process.wait(60) == -signal.SIGKILL
    with start():
        ended(world)
    [row] = world.usage_rows()
    assert (row.status, row.error_code, row.source) == ("ok", "", "journal")
    assert row.marks == ["estimated"]
    assert row.completion_tokens > 0
