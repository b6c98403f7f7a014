"""Two people edit one customer: the second sees what the first changed."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from billing.models import Customer
from tests.browser.conftest import Site
from tests.fixtures_billing import make_customer, make_team, make_tier

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1440, 390])
def test_customer__edited_by_two__the_second_decides_knowingly(
    site: Site, tmp_path: Path, width: int
) -> None:
    customer = make_customer(
        "anna", tier=make_tier("free"), team=make_team("red"), requests_per_minute=60
    )
    site.page.set_viewport_size({"width": width, "height": 900})
    page = site.open(f"/admin/billing/customer/{customer.pk}/change/")
    page.get_by_label("Tokens per minute").fill("9000")
    page.locator("#id_suspended").check(force=True)
    Customer.objects.filter(pk=customer.pk).update(requests_per_minute=5)

    page.get_by_role("button", name="Save", exact=True).click()
    conflict = page.locator("#conflict")
    expect(conflict.locator("tbody tr")).to_have_count(1)
    expect(conflict.locator("tbody td")).to_have_text(
        ["Requests per minute", "60", "5", "60"]
    )
    expect(conflict.get_by_role("heading")).to_be_in_viewport()
    expect(page.get_by_label("Tokens per minute")).to_have_value("9000")
    assert site.overflow() == 0
    _photograph(site, tmp_path, "admin-conflict", width)

    page.get_by_label("Requests per minute").fill("5")
    page.get_by_role("button", name="Save", exact=True).click()
    effects = page.locator("#effects")
    expect(effects).to_contain_text("All requests of the customer are refused at once")
    assert site.overflow() == 0
    _photograph(site, tmp_path, "admin-effects", width)
    effects.get_by_role("button", name="Save it").click()
    page.wait_for_url(f"{site.url}/admin/billing/customer/")
    customer.refresh_from_db()
    assert (customer.requests_per_minute, customer.tokens_per_minute) == (5, 9000)
    assert customer.suspended
    # The answers 409 and 422 are no faults of the page.
    assert [one for one in site.complaints if "409" not in one and "422" not in one] == []  # fmt: skip


def _photograph(site: Site, tmp_path: Path, name: str, width: int) -> None:
    folder = os.environ.get("DOCS_IMAGES") if width > 1000 else None
    path = Path(folder or tmp_path) / f"{name}.png"
    site.page.screenshot(path=path, full_page=True, animations="disabled")
