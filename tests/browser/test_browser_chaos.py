"""An experiment of chaos from its form to its stop, as an operator sees it."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from llm.models.chaos import ChaosExperiment, ChaosRun
from tests.admin.chaos_rows import (
    make_active_run,
    make_chaos_experiment,
    make_chaos_run,
    make_samples,
)
from tests.browser.conftest import Site
from tests.fixtures_billing import make_route, make_tier

pytestmark = pytest.mark.browser
EXPERIMENTS = "/admin/llm/chaosexperiment/"
RUNS = "/admin/llm/chaosrun/"
NARROW = {"width": 390, "height": 844}


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    settings.CHAOS_ENABLED = True


def pictures(site: Site, folder: Path, name: str) -> None:
    """Light, dark, and as a phone shows it; those of the guide are kept where DOCS_IMAGES says."""
    page = site.page
    kept = Path(os.environ.get("DOCS_IMAGES") or folder)
    page.screenshot(path=kept / f"{name}.png", full_page=True, animations="disabled")
    page.evaluate("document.documentElement.classList.add('dark')")
    page.screenshot(path=folder / f"{name}-dark.png", full_page=True)
    page.evaluate("document.documentElement.classList.remove('dark')")
    page.set_viewport_size(NARROW)
    # Charts follow a moment later.
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=folder / f"{name}-narrow.png", full_page=True)
    page.set_viewport_size({"width": 1440, "height": 900})


def test_experiment__from_its_form_to_its_stop__in_the_admin_alone(
    site: Site, tmp_path: Path
) -> None:
    make_route()
    tier = make_tier()
    page = site.open(f"{EXPERIMENTS}add/")
    page.fill("#id_name", "slow-openai")
    page.fill("#id_hypothesis", "Answers come from the fallback; nobody gets an error.")
    expect(page.locator("#id_latency_delay_ms")).to_be_visible()
    page.select_option("#id_fault", "error")
    expect(page.locator("#id_latency_delay_ms")).to_be_hidden()
    page.select_option("#id_error_status", "502")
    page.fill("#id_percent", "5")
    page.check("input[name=endpoints][value=chat]")
    page.check(f"input[name=for_tiers][value={tier.key}]")
    page.fill("#id_most_error_percent", "2")
    pictures(site, tmp_path, "chaos-form")
    page.click("[name=_continue]")
    expect(page.locator("body")).to_contain_text(
        f"Of the chat calls of tier {tier.key} to any provider, 5\u00a0% get status 502"
    )
    page.click("a:has-text('Start…')")
    expect(page.locator("body")).to_contain_text("Who will be met")
    page.fill("#id_reason", "A game day.")
    pictures(site, tmp_path, "chaos-start")
    page.click("button:has-text('Start it')")
    expect(page.locator("#chaos-banner")).to_contain_text("slow-openai")
    run = ChaosRun.objects.get()
    expect(page.locator("#run-state")).to_contain_text("Checking the steady state")
    site.open("/admin/")
    pictures(site, tmp_path, "chaos-banner")
    page.click("#chaos-banner button:has-text('Stop all')")
    expect(page.locator("body")).to_contain_text("Stopped 1. Faults end within seconds")
    expect(page.locator("#chaos-banner button")).to_have_count(0)
    run.refresh_from_db()
    assert run.state == "stopped"
    assert ChaosExperiment.objects.get().parameters == {"status": 502}
    assert site.complaints == []


def test_run__while_it_goes_on__is_followed_without_a_reload(
    site: Site, tmp_path: Path
) -> None:
    run = make_active_run(name="slow-openai", samples=make_samples()[:15], injected=7)
    page = site.open(f"{RUNS}{run.pk}/change/")
    page.evaluate("window.sameDocument = true")
    bars = "Chart.getChart(document.querySelector('#run-errors canvas')).data.labels.length"
    assert page.evaluate(bars) == 15
    pictures(site, tmp_path, "chaos-active")
    findings = [
        {"expected": "At most 2% of the requests fail", "seen": "0 failed", "holds": True},
        {"expected": "95% take at most 500 ms", "seen": "800 ms", "holds": False},
        {"expected": "A request costs at most 1 USD", "seen": "3 requests", "holds": None},
    ]  # fmt: skip
    ChaosRun.objects.filter(pk=run.pk).update(samples=make_samples(), injected=1234)
    expect(page.locator("#run-state")).to_contain_text("1,234 faults injected")
    page.wait_for_function(f"{bars} === 40")
    ChaosRun.objects.filter(pk=run.pk).update(
        state="completed", verdict="failed", ended_at=timezone.now(), findings=findings
    )
    expect(page.locator("#run-state")).to_contain_text("Completed")
    expect(page.locator("#run-findings tbody tr")).to_have_count(3)
    expect(page.locator("#run-refresh")).not_to_have_attribute("hx-get", "")
    expect(page.locator("#chaos-banner section")).to_have_count(0)
    assert page.evaluate("window.sameDocument")
    for canvas in page.locator("canvas.chart").all():
        assert canvas.evaluate("one => one.width > 0 && !!Chart.getChart(one)")
    assert site.overflow() == 0
    pictures(site, tmp_path, "chaos-run")
    assert site.complaints == []


def test_lists__of_chaos__fit_wide_and_narrow(site: Site, tmp_path: Path) -> None:
    make_chaos_experiment(name="slow-openai")
    at = timezone.now() - timedelta(hours=2)
    make_chaos_run(name="slow-openai")
    make_chaos_run(name="redis_down", is_drill=True, verdict="failed", started_at=at)
    for name, path in (
        ("experiments", EXPERIMENTS),
        ("runs", RUNS),
        ("drills", f"{RUNS}drills/"),
        ("windows", "/admin/llm/chaoswindow/"),
    ):
        site.open(path)
        pictures(site, tmp_path, f"chaos-{name}")
    assert site.complaints == []
