"""The playground and the provider's buttons, as an operator uses them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from billing.models import Usage
from tests.admin.provider_server import Lister, listening
from tests.browser.conftest import Site
from tests.demo_process import DemoProcess
from tests.fixtures_billing import (
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
)

pytestmark = pytest.mark.browser
PAGE = "/admin/llm/model/playground/"


@pytest.fixture
def ready(site: Site, demo_provider: DemoProcess) -> Site:
    """A customer, and a model that answers."""
    provider = make_provider("demo", base_url=demo_provider.url)
    make_route(make_model("demo-chat"), provider, upstream_model="demo-chat")
    make_price("demo", "demo-chat")
    make_customer("anna")
    return site


@pytest.fixture
def lister() -> Iterator[Lister]:
    with listening() as one:
        yield one


def test_playground__sent__shows_that_it_waits(ready: Site) -> None:
    page = ready.open(PAGE)
    # Kept on the page: while it navigates, nothing can be asked of it.
    stay = "form => form.addEventListener('submit', event => event.preventDefault())"
    page.locator("#playground").evaluate(stay)
    expect(page.locator(".vc-waiting")).to_be_hidden()
    page.fill("#id_message", "Hello")
    send = page.locator("#playground [type=submit]")
    send.click()
    expect(page.locator(".vc-waiting")).to_be_visible()
    expect(page.locator(".vc-done")).to_be_hidden()
    expect(send).to_be_disabled()


def test_playground__sample_sent__answer_with_its_facts(ready: Site) -> None:
    page = ready.open(PAGE)
    page.click("text=Business model canvas")
    assert "bakery" in page.input_value("#id_message")
    page.click("#playground [type=submit]")
    expect(page.locator(".vc-answer")).to_be_visible()
    expect(page.locator("#answer .vc-facts")).to_contain_text("demo-chat → demo")
    page.click("#answer .vc-facts a")
    page.wait_for_url("**/billing/usage/*/change/")
    assert ready.complaints == []


def test_playground__answer_reloaded__is_billed_once(ready: Site) -> None:
    page = ready.open(PAGE)
    page.fill("#id_message", "Hello")
    page.click("#playground [type=submit]")
    expect(page.locator(".vc-answer")).to_be_visible()
    answer = page.locator(".vc-answer").inner_text()
    page.reload()
    expect(page.locator(".vc-answer")).to_have_text(answer)
    assert page.input_value("#id_message") == "Hello"
    assert Usage.objects.count() == 1
    before = page.url
    page.click("#playground [type=submit]")
    page.wait_for_url(lambda url: url != before)
    expect(page.locator(".vc-answer")).to_be_visible()
    assert Usage.objects.count() == 2


def test_discover__list_narrowed__chosen_one_is_added(
    site: Site, lister: Lister
) -> None:
    lister.list("alpha", "beta-large", "beta-small")
    make_provider("acme", base_url=lister.url)
    page = site.open("/admin/llm/provider/acme/change/")
    page.click("text=Discover models")
    page.fill("[data-filter]", "BETA")
    expect(page.locator("#found-models li:visible")).to_have_count(2)
    page.check("text=beta-small")
    page.click("text=Add the selected models")
    expect(page.locator("body")).to_contain_text("Added 1 models and 1 routes")
    assert site.complaints == []
