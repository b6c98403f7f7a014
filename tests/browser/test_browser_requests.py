"""The list of requests, and why one was refused, at a desk and on a phone."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.admin.rows import make_refusal, make_usage
from tests.admin.test_admin_requests import QUOTA
from tests.browser.conftest import Site
from tests.fixtures_billing import make_customer

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1440, 390])
def test_refused_request__found_in_the_list__says_why_and_where_to_change_it(
    site: Site, width: int, tmp_path: Path
) -> None:
    site.page.set_viewport_size({"width": width, "height": 900})
    customer = make_customer()
    make_usage(customer)
    row = make_refusal(customer, code="insufficient_quota", limits=[QUOTA])
    page = site.open("/admin/billing/request/?outcome=refused")
    expect(page.get_by_text("refused: insufficient quota")).to_be_visible()
    assert page.screenshot(path=tmp_path / "list.png")
    page = site.open(f"/admin/billing/request/{row.pk}/change/")
    why = page.locator(".vc-alarm", has_text="Why this request was refused")
    expect(why).to_contain_text("had 10 used of 10.")
    expect(page.locator("td", has_text="refused")).to_be_visible()
    kept = Path(os.environ.get("DOCS_IMAGES") or tmp_path)
    page.screenshot(path=kept / f"request-{width}.png", full_page=True)
    assert site.overflow() == 0
    why.get_by_role("link", name="Tier").click()
    expect(page).to_have_url(
        f"{site.url}/admin/billing/tier/{customer.tier_id}/change/"
    )
    assert site.complaints == []
