"""Headless Chromium on a live server, signed in as a superuser."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from llm.gateway import gateway_thread

# However busy the machine is: what takes longer than this will not come.
PATIENCE_MS = 60_000
PASSWORD = "a-right-password"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What htmx says where a page is left while it waits for an answer: no fault of ours. One
# that failed otherwise has `htmx:sendError` or the like with it.
ABORTED = frozenset({"htmx:afterRequest", "htmx:sendAbort"})


@dataclass
class Site:
    """A page on the live server, and all that the browser complained of."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        answer = self.page.goto(f"{self.url}{path}")
        assert answer is not None
        assert answer.status == 200, path
        return self.page

    def hear(self, said: ConsoleMessage) -> None:
        """Keep it if it is a complaint."""
        if said.type == "error" and said.text not in ABORTED:
            self.complaints.append(said.text)

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        script = "document.documentElement.scrollWidth - innerWidth"
        return max(0, int(self.page.evaluate(script)))


# A module's, not the session's: while Playwright runs, its loop is the thread's running
# one, and no asyncio test can run beside it.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("No Chromium: install it, or name it in CHROMIUM.")
    # Playwright keeps a loop in this thread, where Django would forbid the ORM.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield one
        one.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    one = browser.new_context(viewport={"width": 1440, "height": 900})
    one.grant_permissions(["clipboard-read", "clipboard-write"])
    one.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield one
    one.close()


@pytest.fixture
def site(
    context: BrowserContext, live_server: Any, transactional_db: None
) -> Iterator[Site]:
    """Signed in by a session that the browser has already."""
    cache.clear()
    client = Client()
    client.force_login(User.objects.create_superuser("boss", password=PASSWORD))
    name = settings.SESSION_COOKIE_NAME
    session = client.cookies[name].value
    # HTTP-only, as the log-in page makes it.
    context.add_cookies(
        [{"name": name, "value": session, "url": live_server.url, "httpOnly": True}]
    )
    page = context.new_page()
    one = Site(page, live_server.url)
    page.on("pageerror", lambda error: one.complaints.append(str(error)))
    page.on("console", one.hear)
    yield one
    page.close()
    gateway_thread().close()
