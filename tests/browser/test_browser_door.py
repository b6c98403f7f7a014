"""Logging in as people do: an app, a passkey, recovery codes, and proving it again."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect

from billing.models import ApiKey
from tests.browser.conftest import PASSWORD, Site
from tests.fixtures_billing import make_customer
from tests.fresh_logins import make_stale
from tests.site.door_steps import code

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def device(site: Site) -> Iterator[Any]:
    """A passkey device that Chromium imitates."""
    session = site.page.context.new_cdp_session(site.page)
    session.send("WebAuthn.enable")
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    yield made["authenticatorId"]
    session.detach()


def log_out(site: Site) -> Page:
    site.page.context.clear_cookies()
    return site.open("/admin/login/?next=/admin/status/")


def enter(page: Page) -> None:
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("#login-form button").first.click()


def press(page: Page, name: str) -> None:
    page.locator("main").get_by_role("button", name=name, exact=True).click()


def test_app__is_added_and_logs_in__and_so_does_a_recovery_code(site: Site) -> None:
    page = site.open("/admin/")
    page.locator(".sidebar-nav, nav, aside").get_by_text("boss").first.click()
    page.get_by_role("link", name="Your account").click()
    page.get_by_role("link", name="Add an app").click()
    expect(page.get_by_alt_text("QR code of the secret below")).to_be_visible()
    secret = page.get_by_label("Secret of the authenticator app").input_value()
    page.get_by_label("Authenticator code").fill(code(secret))
    press(page, "Add")
    codes = page.get_by_label("Recovery codes").locator("li").all_inner_texts()
    assert len(codes) == 10
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "valuecanvas-recovery-codes.txt"
    assert download.value.path().read_text().split() == codes
    for second in (lambda: code(secret), lambda: codes[0]):
        page = log_out(site)
        enter(page)
        expect(page).to_have_title(re.compile("Second factor"))
        page.get_by_label("Code").fill(second())
        press(page, "Log in")
        expect(page).to_have_url(f"{site.url}/admin/status/")
    assert site.complaints == []


def test_passkey__is_added_with_a_name__and_logs_in_alone(
    site: Site, device: str
) -> None:
    page = site.open("/admin/account/passkeys/add/")
    page.get_by_label("Name").fill("My laptop")
    press(page, "Add")
    expect(page.get_by_label("Recovery codes")).to_be_visible()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("My laptop")).to_be_visible()
    page = log_out(site)
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page).to_have_url(f"{site.url}/admin/status/")
    page = log_out(site)
    enter(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{site.url}/admin/status/")
    page = site.open("/admin/account/")
    page.get_by_role("link", name="Remove").click()
    press(page, "Remove")
    expect(page.get_by_text("None yet. A passkey")).to_be_visible()
    assert not Authenticator.objects.exists()
    assert site.complaints == []


def test_passkey__that_no_device_has__is_explained(site: Site, device: str) -> None:
    session = site.page.context.new_cdp_session(site.page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False}
    )
    page = log_out(site)
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("The passkey was not used")
    assert site.complaints == []


def test_key_form__after_a_long_time__is_sent_after_the_password(site: Site) -> None:
    customer = make_customer()
    page = site.open("/admin/billing/apikey/add/")
    [cookie] = [one for one in page.context.cookies() if one["name"] == settings.SESSION_COOKIE_NAME]  # fmt: skip
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = cookie["value"]
    make_stale(client)
    page.locator("#id_name").fill("typed before")
    page.locator(".field-customer .select2-selection").click()
    page.locator(".select2-results__option", has_text=customer.user_id).click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading")).to_contain_text("Confirm that it is you")
    assert not ApiKey.objects.exists()
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Confirm that it is you").click()
    popup.value.get_by_label("Password").fill(PASSWORD)
    popup.value.locator("main").get_by_role("button", name="Confirm").click()
    expect(popup.value).to_have_url(f"{site.url}/admin/")
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_label("API key", exact=True)).to_be_visible()
    assert ApiKey.objects.get().name == "typed before"


def test_link__to_a_dangerous_form__leads_through_the_password_and_on(
    site: Site,
) -> None:
    client = Client()
    client.force_login(User.objects.get())
    make_stale(client)
    name = settings.SESSION_COOKIE_NAME
    site.page.context.add_cookies(
        [{"name": name, "value": client.cookies[name].value, "url": site.url}]
    )
    page = site.open("/admin/llm/provider/add/")
    expect(page).to_have_title(re.compile("Confirm that it is you"))
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Confirm")
    expect(page).to_have_url(f"{site.url}/admin/llm/provider/add/")
    assert site.complaints == []
