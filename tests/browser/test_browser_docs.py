"""The API's pages, under the same content security policy as the admin."""

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("path", "text"),
    [("/api/docs", "/v1/chat/completions"), ("/api/redoc", "Complete a prompt")],
)
def test_docs_page__opened__shows_the_api_without_complaint(site, path, text):
    page = site.open(path)
    page.get_by_text(text).locator("visible=true").first.wait_for()
    assert site.complaints == []
