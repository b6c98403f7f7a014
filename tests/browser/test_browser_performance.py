"""The Performance page on a laptop and a phone."""

import datetime as dt
import os
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from billing.usage import rollup
from tests.admin.job_rows import make_job
from tests.admin.rows import make_refusal, make_usage
from tests.browser.conftest import Site
from tests.fixtures_billing import make_customer

pytestmark = pytest.mark.browser
PROVIDERS = ("together", "openai", "local")


def plant() -> None:
    """A day with a busy noon, some failures, refusals and jobs."""
    now, ann = timezone.now() - dt.timedelta(minutes=2), make_customer("ann")
    for back in range(24 * 4):
        at = now - dt.timedelta(minutes=15 * back)
        for number in range(2 + back % 7):
            make_usage(
                ann,
                provider=PROVIDERS[(back + number) % 3],
                cached=number % 3 == 2,
                latency_ms=300 + 211 * number + 90 * (back % 11),
                status="error" if (back, number) in ((9, 0), (40, 1)) else "ok",
                cost_usd=Decimal(number) / 1000,
                prompt_tokens=100 + back,
                created_at=at,
            )
        if back % 5 == 0:
            make_refusal(ann, created_at=at)
            make_job(("succeeded", "failed")[back % 2], finished_at=at)
    rollup.catch_up()


@pytest.mark.parametrize(
    ("width", "theme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
)
def test_performance__a_day__has_targets_and_charts_that_fit_the_window(
    site: Site, tmp_path: Path, width: int, theme: str
) -> None:
    plant()
    site.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    site.page.set_viewport_size({"width": width, "height": 900})
    page = site.open("/admin/metrics/")
    expect(page.locator(".vc-chart canvas")).to_have_count(8)
    row = page.get_by_role("row", name="Latency, 95th percentile")
    expect(row).to_contain_text("met")
    drawn = "canvas => Chart.getChart(canvas).data.datasets.map(one => one.label)"
    latency = page.locator(".vc-panel", has_text="seconds, of answers")
    assert latency.locator("canvas").evaluate(drawn) == ["p50", "p95", "p99"]
    assert site.overflow() == 0
    kept = Path(os.environ.get("DOCS_IMAGES") or tmp_path)
    name = f"performance-{theme}-{width}.png"
    page.screenshot(path=kept / name, full_page=True, animations="disabled")
    page.get_by_role("link", name="Last hour").click()
    expect(page.locator("[aria-current=true]", has_text="Last hour")).to_be_visible()
    assert site.complaints == []
