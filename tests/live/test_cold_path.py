"""The cold path's own bounds, before an application that the test holds back."""

import asyncio
import sys
from typing import Any

import pytest
from pytest_django import Settings

from valuecanvas.http import cold_path
from valuecanvas.http.cold_path import ColdPath
from valuecanvas.http.fairness import held_bytes

PAGE = b"x" * 200_000


class Visitor:
    """One request; its client takes what it is sent until `stuck`."""

    def __init__(self, body: bytes = b"", *, stuck: bool = False) -> None:
        self.sent: list[dict[str, Any]] = []
        self.transport = self
        self.aborted = asyncio.Event()
        self._stuck = stuck
        self._messages = [{"type": "http.request", "body": body}]

    def abort(self) -> None:
        self.aborted.set()

    async def receive(self) -> dict[str, Any]:
        return self._messages.pop() if self._messages else {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if self.sent and self._stuck:
            await self.aborted.wait()
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    def visit(self, path: ColdPath, at: str = "/api/x") -> "asyncio.Task[None]":
        scope = {"type": "http", "method": "GET", "path": at, "headers": []}
        return asyncio.create_task(path.handle(scope, self.receive, self.send))


class Pages:
    """Django's place: answers PAGE once it is let."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.running = 0
        self.left = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.running += 1
        await receive()
        gone = asyncio.create_task(receive())
        await self.open.wait()
        self.left += gone.done()
        gone.cancel()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": PAGE})
        self.running -= 1


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
def pages(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Pages:
    settings.PAGE_MAX_RUNNING, settings.PAGE_MAX_WAITING = 1, 1
    monkeypatch.setattr(cold_path, "RETRY_AFTER_S", 0)
    return Pages()


async def test_reader__who_does_not_read__has_no_seat_and_is_cut(
    pages: Pages, settings: Settings
) -> None:
    settings.LLM_SEND_TIMEOUT_S = 0.05
    path, stuck, next_one = ColdPath(pages), Visitor(stuck=True), Visitor()
    pages.open.set()
    first = stuck.visit(path)
    await next_one.visit(path)
    assert next_one.status == 200
    await first
    assert stuck.aborted.is_set()


async def test_visitor__who_leaves__keeps_the_seat_until_the_page_is_made(
    pages: Pages,
) -> None:
    path = ColdPath(pages)
    # Each has left by the time that Django listens.
    tasks = [Visitor().visit(path) for _ in range(2)]
    await until(lambda: pages.running == 1)
    late = Visitor()
    await late.visit(path)
    assert (late.status, pages.running) == (503, 1)
    pages.open.set()
    await asyncio.gather(*tasks)
    assert (pages.running, pages.left) == (0, 0)


async def test_visitors__many_refused_in_one_moment__do_not_come_again_in_one(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(cold_path, "RETRY_AFTER_S", 2)
    path = ColdPath(pages)
    tasks = [Visitor().visit(path) for _ in range(2)]
    await until(lambda: pages.running == 1)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", note)
        await asyncio.gather(*(Visitor().visit(path) for _ in range(100)))
    pages.open.set()
    await asyncio.gather(*tasks)
    assert all(2 <= one <= 4 for one in pauses)
    assert len({round(one, 1) for one in pauses}) > 10


async def test_bytes__of_all_requests__are_bounded_and_free_again(
    pages: Pages, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LLM_SEND_TIMEOUT_S = 600
    monkeypatch.setattr(held_bytes, "MOST_HELD_BYTES", 100_000)
    path, stuck, late = ColdPath(pages), Visitor(stuck=True), Visitor()
    pages.open.set()
    first = stuck.visit(path)
    await until(lambda: stuck.sent)
    await late.visit(path)
    assert late.status == 503
    stuck.abort()
    await first
    again = Visitor()
    await again.visit(path)
    assert again.status == 200
    large = Visitor(b"x" * 100_001)
    await large.visit(path)
    assert large.status == 503


async def test_interpreter__while_pages_are_made__is_passed_on_sooner(
    pages: Pages,
) -> None:
    before = sys.getswitchinterval()
    task = Visitor().visit(ColdPath(pages))
    await until(lambda: pages.running)
    assert sys.getswitchinterval() == pytest.approx(cold_path.SWITCH_S)
    pages.open.set()
    await task
    assert sys.getswitchinterval() == before


async def test_seat__not_free_in_time__is_503(pages: Pages, settings: Settings) -> None:
    settings.DB_PAGE_TIMEOUT_S = 0.05
    path, first, second = ColdPath(pages), Visitor(), Visitor()
    task = first.visit(path)
    await second.visit(path)
    assert second.status == 503
    pages.open.set()
    await task
    assert first.status == 200
