"""The API's pages, under the same content security policy as the admin."""

import pytest

from tests.fixtures_billing import make_api_key, make_customer

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("path", "text"),
    [("/api/docs", "/v1/chat/completions"), ("/api/redoc", "Complete a prompt")],
)
def test_docs_page__opened__shows_the_api_without_complaint(site, path, text):
    page = site.open(path)
    page.get_by_text(text).locator("visible=true").first.wait_for()
    assert site.complaints == []


def test_docs_page__authorized_with_a_key__calls_the_api_with_it(site):
    customer = make_customer()
    _, key = make_api_key(customer)
    page = site.open("/api/docs")
    # Else the browser's own session would be who asks.
    page.context.clear_cookies()
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("auth-bearer-value").fill(key)
    page.get_by_label("Apply credentials").last.click()
    page.get_by_role("button", name="Close").first.click()
    operation = page.locator("#operations-Usage-retrieveOwnUsage")
    operation.locator(".opblock-summary").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    answer.get_by_text(customer.user_id).first.wait_for()
    assert f"Bearer {key}" in operation.locator(".curl").inner_text()
    assert site.complaints == []
