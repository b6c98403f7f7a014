"""The Spend page on a laptop and a phone."""

import datetime as dt
import os
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from billing.usage import rollup
from tests.admin.rows import make_counter, make_usage
from tests.browser.conftest import Site
from tests.fixtures_billing import make_budget, make_customer, make_team

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_spend__opened_and_looked_into__fits_the_window(
    site: Site, tmp_path: Path, width: int, theme: str
) -> None:
    now = timezone.now() - dt.timedelta(minutes=2)
    ann = make_customer("ann", team=make_team("growth"))
    for back in range(45):
        for at, model in enumerate(("gpt-4o-mini", "llama-3.3-70b", "qwen-2.5-coder")):
            cost = Decimal(3 + at + (back * (at + 2)) % 7) / 2
            make_usage(ann, model=model, cost_usd=cost, provider_cost_usd=cost, created_at=now - dt.timedelta(days=back))  # fmt: skip
    rollup.catch_up()
    budget = make_budget(ann.team, limit="400", period="month")
    make_counter("t", "growth", now.date(), used=90, spent=287_500_000)
    make_counter("g", "", now.date(), used=90, spent=310_500_000)
    site.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    site.page.set_viewport_size({"width": width, "height": 900})
    page = site.open("/admin/billing/counter/spend/")
    expect(page.locator(".vc-chart canvas")).to_be_visible()
    expect(page.get_by_role("heading", name="What changed most")).to_be_visible()
    assert site.overflow() == 0
    photograph(page, tmp_path, "spend" if width > 1000 else "spend-phone")
    page.get_by_role("link", name="qwen-2.5-coder").first.click()
    expect(page.get_by_title("Show all again")).to_be_visible()
    page.get_by_role("link", name="Customer", exact=True).click()
    expect(page.get_by_role("link", name="ann (growth)").first).to_be_visible()
    assert site.complaints == []
    page = site.open("/admin/")
    expect(page.get_by_text(f"Spend in {now:%B}")).to_be_visible()
    photograph(page, tmp_path, "dashboard" if width > 1000 else "dashboard-phone")
    page = site.open(f"/admin/billing/budget/{budget.pk}/change/")
    expect(page.get_by_text("$287.50").first).to_be_visible()
    photograph(page, tmp_path, "budget" if width > 1000 else "budget-phone")
    assert site.overflow() == 0
    assert site.complaints == []


def photograph(page: Page, folder: Path, name: str) -> None:
    """Kept where DOCS_IMAGES says."""
    kept = Path(os.environ.get("DOCS_IMAGES") or folder)
    page.screenshot(path=kept / f"{name}.png", full_page=True, animations="disabled")
