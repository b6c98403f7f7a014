"""What only a browser can tell: scripts, the policy for them, and widths."""

from typing import Any

import pytest
from playwright.sync_api import expect

from billing.auth import keys
from billing.models import ApiKey
from tests.admin.rows import MAKE, make_usage
from tests.browser.conftest import PASSWORD, Site
from tests.fixtures_billing import make_customer, make_route, make_team
from valuecanvas.site.sidebar import GROUPS, Item

pytestmark = pytest.mark.browser
PAGES = [item for _, items in GROUPS for item in items if not item.url.startswith("/")]
FORMS = ("billing.apikey", "billing.budget", "billing.price", "flags.flag", "llm.model", "llm.provider", "django_celery_beat.periodictask")  # fmt: skip


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    settings.CHAOS_ENABLED = True


def test_login__right_password__opens_the_page_asked_for(site: Site) -> None:
    site.page.context.clear_cookies()
    page = site.open("/admin/billing/tier/")
    page.fill("#id_username", "boss")
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/admin/billing/tier/")
    assert site.complaints == []


@pytest.mark.parametrize("width", [1440, 420])
def test_every_page__wide_and_narrow__no_complaint_and_no_overflow(
    site: Site, width: int
) -> None:
    for make in MAKE.values():
        make()
    make_usage(make_customer("a-very-long-user-id-" * 6))
    site.page.set_viewport_size({"width": width, "height": 900})
    for item in PAGES:
        site.open(item.link())
        assert site.overflow() == 0, item.title
    assert site.complaints == []


def test_every_form__opened__no_complaint(site: Site) -> None:
    for label in FORMS:
        row = MAKE[label]()
        listing = Item("", "", f"{label.replace('.', '_')}_changelist").link()
        site.open(f"{listing}{row.pk}/change/")
        site.open(f"{listing}add/")
    assert site.complaints == []


def test_dark_mode__dashboard__paper_is_dark(site: Site) -> None:
    site.page.emulate_media(color_scheme="dark")
    make_usage()
    page = site.open("/admin/")
    colour = page.locator(".vc-card").first.evaluate(
        "card => getComputedStyle(card).backgroundColor"
    )
    assert colour != "rgb(255, 255, 255)"


def test_dashboard__chart__is_drawn(site: Site) -> None:
    make_usage()
    canvas = site.open("/admin/").locator("canvas.chart")
    expect(canvas).to_be_visible()
    drawn = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v)"
    assert canvas.evaluate(drawn)


def test_sidebar_search__typed__finds_the_page(site: Site) -> None:
    page = site.open("/admin/")
    page.locator("#nav-filter").press_sequentially("budg")
    found = page.locator("#search-results a")
    expect(found).to_have_text("Budgets / Customers & spend")


def test_issue_a_key__copied__works_and_is_gone_afterwards(site: Site) -> None:
    customer = make_customer("anna@example.com")
    page = site.open("/admin/billing/apikey/add/")
    page.fill("#id_name", "Anna's notebook")
    page.locator(".field-customer .select2-selection").click()
    page.locator(".select2-search__field").press_sequentially("anna")
    page.locator(".select2-results__option", has_text="anna@example.com").click()
    page.click("button[name=_save]")
    text = page.input_value("#key-text")
    page.click("[data-copy]")
    expect(page.locator("[data-copy-label]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == text
    key = ApiKey.objects.get()
    assert (key.customer, key.digest) == (customer, keys.digest(text))
    page.click("text=I have copied it")
    page.wait_for_url("**/change/")
    assert text not in page.content()
    assert site.complaints == []


def test_budget_form__scope_chosen__asks_only_for_that(site: Site) -> None:
    make_team("sales", name="Sales")
    page = site.open("/admin/billing/budget/add/")
    team, customer = page.locator(".field-team"), page.locator(".field-customer")
    expect(team).to_be_hidden()
    page.select_option("#id_scope", "team")
    expect(team).to_be_visible()
    expect(customer).to_be_hidden()
    page.select_option("#id_scope", "customer")
    expect(customer).to_be_visible()
    expect(team).to_be_hidden()


def test_revoke__cancel__nothing_happens(site: Site) -> None:
    key = MAKE["billing.apikey"]()
    page = site.open(f"/admin/billing/apikey/{key.pk}/change/")
    page.click("text=Revoke")
    page.click("text=Cancel")
    page.wait_for_url("**/change/")
    key.refresh_from_db()
    assert key.revoked_at is None


def test_breakers_page__force_open__form_is_filled_in(site: Site) -> None:
    route = make_route()
    page = site.open("/admin/llm/breakeroverride/states/")
    page.click("text=Force open")
    expect(page.locator("#id_upstream_model")).to_have_value(route.upstream_model)
    page.fill("#id_reason", "maintenance")
    page.click("button[name=_save]")
    page.wait_for_url("**/states/")
    expect(page.locator("text=maintenance").first).to_be_visible()
