"""The page of a request that failed: why it did is what one sees first."""

import pytest
from playwright.sync_api import Page, expect

from tests.admin.rows import make_usage
from tests.browser.conftest import Site

pytestmark = pytest.mark.browser
WHY = "Why the request was not answered"


def _top(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return box["y"]


@pytest.mark.parametrize("width", [1440, 390])
def test_failed_request__opened__its_reason_follows_the_headline(
    site: Site, width: int
) -> None:
    site.page.set_viewport_size({"width": width, "height": 800})
    row = make_usage(status="error", error_code="no_provider_available")
    page = site.open(f"/admin/billing/usage/{row.pk}/change/")
    reason = page.locator(".vc-alarm", has_text=WHY)
    expect(reason).to_have_count(1)
    box = reason.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 500
    assert box["y"] + box["height"] < _top(page, "#usage_form fieldset")
    assert site.overflow() == 0
    assert site.complaints == []
