"""The Spend page on a laptop and a phone."""

import datetime as dt
import os
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from billing.usage import rollup
from tests.admin.rows import make_usage
from tests.browser.conftest import Site
from tests.fixtures_billing import make_customer, make_team

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
    site.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    site.page.set_viewport_size({"width": width, "height": 900})
    page = site.open("/admin/billing/counter/spend/")
    expect(page.locator(".vc-chart canvas")).to_be_visible()
    expect(page.get_by_role("heading", name="What changed most")).to_be_visible()
    assert site.overflow() == 0
    folder = os.environ.get("DOCS_IMAGES")
    name = "spend" if width > 1000 else "spend-phone"
    path = Path(folder or tmp_path) / f"{name}.png"
    page.screenshot(path=path, full_page=True, animations="disabled")
    page.get_by_role("link", name="qwen-2.5-coder").first.click()
    expect(page.get_by_title("Show all again")).to_be_visible()
    page.get_by_role("link", name="Customer", exact=True).click()
    expect(page.get_by_role("link", name="ann (growth)").first).to_be_visible()
    assert site.complaints == []
