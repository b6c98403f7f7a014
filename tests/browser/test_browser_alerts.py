"""Alerts in a browser: a channel is added and tested, a rule is muted, an alert is read."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connections
from playwright.sync_api import expect

from billing.models import AlertChannel
from tests.billing.alerts.rows import KEY, make_alert, make_channel, make_rule
from tests.browser.conftest import Site
from tests.core.webhooks.receiver import receiving
from valuecanvas.core.webhooks.sender import send_due

pytestmark = pytest.mark.browser


def picture(site: Site, folder: Path, name: str) -> None:
    site.page.screenshot(path=Path(os.environ.get("DOCS_IMAGES") or folder) / name)


def send() -> None:
    """As a worker does."""
    send_due()
    connections.close_all()


def test_channel__added_and_tested__shows_the_result_by_itself(
    site: Site, tmp_path: Path
) -> None:
    page = site.open("/admin/billing/alertchannel/add/")
    secret, key = page.locator("#id_slack_url"), page.locator("#id_integration_key")
    page.locator("#id_kind").select_option("slack")
    expect(secret).to_be_visible()
    expect(key).to_be_hidden()
    with receiving() as slack:
        slack.answer = b"ok"
        page.locator("#id_name").fill("ops")
        secret.fill(f"{slack.url}/S3CRET")
        picture(site, tmp_path, "alert-channel-add.png")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("was added successfully")).to_be_visible()
        channel = AlertChannel.objects.get()
        page = site.open(f"/admin/billing/alertchannel/{channel.pk}/change/")
        assert "S3CRET" not in page.content()
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_text("On its way.")).to_be_visible()
        # The browser's own event loop runs in this thread.
        with ThreadPoolExecutor(1) as worker:
            worker.submit(send).result()
        expect(page.locator("#deliveries").get_by_text("Delivered")).to_be_visible()
        assert len(slack.received) == 1
    picture(site, tmp_path, "alert-channel.png")
    assert site.complaints == []


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_alert__and_its_rule__fit_the_window(
    site: Site, tmp_path: Path, width: int, theme: str
) -> None:
    rule = make_rule(make_channel("pagerduty", secret=KEY))
    event = make_alert(rule, summary="Budget of team 'Research' has reached 80% ($8.02 of $10.00, 2026-11-01 to 2026-11-30).", details={"percent": 80})  # fmt: skip
    site.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    site.page.set_viewport_size({"width": width, "height": 900})
    for url, name in (
        (f"alertevent/{event.pk}/change/", "alert"),
        ("alertevent/", "alerts"),
        ("alertrule/", "alert-rules"),
        (f"alertrule/{rule.pk}/change/", "alert-rule"),
    ):
        site.open(f"/admin/billing/{url}")
        picture(site, tmp_path, f"{name}-{width}.png")
        assert site.overflow() == 0
    site.page.get_by_role("link", name="Mute").click()
    site.page.locator("#id_length").select_option("8")
    site.page.get_by_role("button", name="Mute").click()
    expect(site.page.get_by_role("link", name="End the mute")).to_be_visible()
    assert site.complaints == []
