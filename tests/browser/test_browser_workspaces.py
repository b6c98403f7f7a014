"""The pages of a customer and a team, on a laptop and a phone."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.admin.rows import make_counter, make_refusal, make_usage
from tests.browser.conftest import Site
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_team,
    make_tier,
)

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("kind", ["customer", "team"])
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_workspace__opened__fits_the_window_and_draws_the_month(
    site: Site, tmp_path: Path, kind: str, width: int, theme: str
) -> None:
    team = make_team("growth")
    anna = make_customer("anna", team=team, tier=make_tier("pro", daily_requests=500))
    today = timezone.now().date()
    for back in range(30):
        sums = {"used": 430 - 13 * back, "spent": 2_400_000 - 70_000 * back}
        make_counter("c", str(anna.pk), today - timedelta(days=back), **sums)
        make_counter("t", team.pk, today - timedelta(days=back), **sums)
    make_budget(anna, limit="3")
    make_budget(team, limit="100", period="month")
    make_api_key(anna, name="Website")
    make_usage(anna), make_usage(anna, status="error", error_code="timeout")
    make_refusal(anna)
    site.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    site.page.set_viewport_size({"width": width, "height": 900})
    row = anna if kind == "customer" else team
    page = site.open(f"/admin/billing/{kind}/{row.pk}/change/")
    expect(page.locator(".vc-chart canvas")).to_be_visible()
    expect(page.get_by_role("heading", name="Last refusals")).to_be_visible()
    assert site.overflow() == 0
    # As high as the page: else its footer hides a part of the photograph.
    site.page.set_viewport_size({"width": width, "height": 1700})
    folder = os.environ.get("DOCS_IMAGES")
    name = f"{kind}-page" if width > 1000 else f"{kind}-page-phone"
    path = Path(folder or tmp_path) / f"{name}.png"
    page.screenshot(path=path, full_page=True, animations="disabled")
    assert site.complaints == []
