"""The page of the queue, which follows what happens by itself."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from llm.models import Job
from tests.admin.job_rows import make_job, make_worker
from tests.browser.conftest import Site

pytestmark = pytest.mark.browser
QUEUE = "/admin/llm/job/queue/"


def test_queue__while_jobs_end__shows_it_without_a_reload(
    site: Site, tmp_path: Path
) -> None:
    now = timezone.now()
    make_worker(seen_at=now + timedelta(minutes=5))
    for minutes in range(50):
        for state in ("succeeded", "succeeded", "failed")[: 1 + minutes % 3]:
            at = now - timedelta(minutes=minutes)
            make_job(state, finished_at=at, error_code="upstream_timeout")
    job = make_job()
    page = site.open(QUEUE)
    queued = page.locator(".vc-card", has_text="Queued")
    expect(queued.locator(".vc-figure")).to_have_text("1")
    assert page.locator("#queue svg rect").count() > 50
    page.evaluate("window.sameDocument = true")
    page.focus("#act-completion")
    Job.objects.filter(pk=job.pk).update(state="cancelled", finished_at=now)
    expect(queued.locator(".vc-figure")).to_have_text("0")
    assert page.evaluate("window.sameDocument")
    # The focus stays where the operator had it.
    assert page.evaluate("document.activeElement.id") == "act-completion"
    assert page.locator("#queue").count() == 1
    kept = os.environ.get("DOCS_IMAGES") or tmp_path
    page.screenshot(
        path=Path(kept) / "jobs-queue.png", full_page=True, animations="disabled"
    )
    assert site.overflow() == 0
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    assert site.complaints == []


def test_queue__session_that_ended__leaves_the_page_as_it_was(site: Site) -> None:
    page = site.open(QUEUE)
    site.page.context.clear_cookies()
    with page.expect_response(lambda answer: "/login/" in answer.url):
        pass
    page.wait_for_timeout(200)
    expect(page.locator("#queue")).to_contain_text("Why jobs failed")
    assert page.locator("input[name=password]").count() == 0


def test_pause__from_the_page__asks_why_and_is_shown(site: Site) -> None:
    page = site.open(QUEUE)
    page.click("#act-embedding")
    page.fill("#id_reason", "The provider is down.")
    page.click("button:has-text('Pause')")
    expect(page.locator("#queue")).to_contain_text("The provider is down.")
    page.click("#act-embedding")
    page.fill("#id_reason", "It is back.")
    page.click("button:has-text('Resume')")
    expect(page.locator("body")).to_contain_text("Resumed: embedding.")
    assert site.complaints == []
