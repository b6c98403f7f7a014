"""The page /usage, as a key holder sees it on a laptop and a phone."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.admin.rows import make_counter
from tests.browser.conftest import Site
from tests.fixtures_billing import make_api_key, make_budget, make_customer, make_tier

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_usage__signed_in_with_a_key__shows_use_and_signs_out(
    site: Site, tmp_path: Path, width: int, theme: str
) -> None:
    pro = make_tier("pro", daily_requests=500)
    anna = make_customer("anna", tier=make_tier("free", daily_requests=10, upgrade_to=pro))  # fmt: skip
    today = timezone.now().date()
    for back in range(12):
        sums = {"used": 9 - back % 4, "spent": 1_400_000 - 70_000 * back}
        make_counter("c", str(anna.pk), today - timedelta(days=back), **sums)
    make_budget(anna, limit="2")
    _, key = make_api_key(anna)
    site.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    site.page.set_viewport_size({"width": width, "height": 900})
    page = site.open("/usage")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Usage of anna")).to_be_visible()
    expect(page.get_by_text("9 of 10 requests of today")).to_be_visible()
    assert site.overflow() == 0
    folder = os.environ.get("DOCS_IMAGES")
    name = "usage" if width > 1000 else "usage-phone"
    page.screenshot(path=Path(folder or tmp_path) / f"{name}.png", full_page=True)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert site.complaints == []
