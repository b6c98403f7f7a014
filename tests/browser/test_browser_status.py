"""The Status page on a laptop and a phone."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.admin.rows import make_backup, make_ledger_check
from tests.browser.conftest import Site
from tests.fixtures_billing import make_model

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_status__opened__names_each_part_and_fits_the_window(
    site: Site, tmp_path: Path, width: int, theme: str
) -> None:
    make_backup()
    make_ledger_check(ok=False)
    make_model("a-model-that-nobody-can-reach")
    site.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    site.page.set_viewport_size({"width": width, "height": 900})
    page = site.open("/admin/status/")
    expect(page.get_by_role("heading", name="Failing: Ledger")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="PostgreSQL")).to_contain_text(
        "Database"
    )
    assert site.overflow() == 0
    kept = Path(os.environ.get("DOCS_IMAGES") or tmp_path)
    page.screenshot(
        path=kept / f"status-{theme}-{width}.png",
        full_page=True,
        animations="disabled",
    )
    page.get_by_role("link", name="Ledger", exact=True).first.click()
    expect(page.get_by_role("heading", name="The ledger does not balance")).to_be_visible()  # fmt: skip
    assert site.complaints == []
