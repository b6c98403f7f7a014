"""What was saved, or was not, is told where one looks."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from flags import services
from flags.actor import FlagActor
from flags.models import Flag
from tests.browser.conftest import Site

pytestmark = pytest.mark.browser


@pytest.fixture
def flag(transactional_db: None) -> Flag:
    wanted = {
        "name": "look",
        "kind": "string",
        "variants": [{"name": "a", "value": "a", "weight": 10000}],
    }
    return services.create_flag(wanted, actor=FlagActor("anna"), reason="To try")


def _save(page: Page, part: str, button: str) -> None:
    form = page.locator(f"#{part}")
    form.get_by_label("Why").fill("it is time")
    form.get_by_role("button", name=button).click()


@pytest.mark.parametrize(
    ("part", "button"),
    [
        ("rollout", "Set the percentage"),
        ("variants", "Save the variants"),
        ("audience", "Save the targets"),
        ("needs", "Save the prerequisites"),
    ],
)
def test_flag__part_of_the_page_saved__is_confirmed_within_view(
    site: Site, flag: Flag, part: str, button: str
) -> None:
    page = site.open(f"/admin/flags/flag/{flag.pk}/change/")
    if part == "rollout":
        page.locator("#rollout [name=percent]").fill("40")
    _save(page, part, button)
    page.wait_for_url(re.compile(f"#{part}$"))
    said = page.locator(f"#{part} [role=status]")
    expect(said).to_have_count(1)
    expect(said).to_be_in_viewport()
    assert page.locator("[role=status]").all_inner_texts() == said.all_inner_texts()


def test_flag__ramp_saved__is_confirmed_within_view(site: Site, flag: Flag) -> None:
    page = site.open(f"/admin/flags/flag/{flag.pk}/change/")
    page.get_by_text("Ramp: change the percentage step by step").click()
    page.locator("#ramp [name=to]").fill("50")
    tomorrow = timezone.now() + timedelta(days=1)
    page.locator("#ramp [name=start]").fill(f"{tomorrow:%Y-%m-%dT%H:%M}")
    _save(page, "ramp", "Start the ramp")
    page.wait_for_url(re.compile("#schedule$"))
    expect(page.locator("#schedule [role=status]")).to_be_in_viewport()


def test_flag__part_not_saved__says_so_within_view(site: Site, flag: Flag) -> None:
    page = site.open(f"/admin/flags/flag/{flag.pk}/change/")
    page.locator("#needs [name=reason]").evaluate("one => one.required = false")
    page.get_by_role("button", name="Save the prerequisites").click()
    expect(page.locator("#needs .errornote").first).to_be_attached()
    expect(page.locator("a[href='#needs']")).to_be_in_viewport()
