"""Flags as an operator handles them, in a browser.

With DOCS_IMAGES naming a folder, the pages are photographed into it for the guide.
"""

import os
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Dialog, Page, expect

from flags import exposure, services
from flags.actor import FlagActor, user_actor
from flags.exposure import ExposureKey
from flags.models import Flag
from tests.browser.conftest import Site

pytestmark = pytest.mark.browser
LIST = "/admin/flags/flag/"
Shoot = Callable[..., None]
# What a program sends, from the page's own origin.
ASK = """async ([name, context]) => {
  const csrf = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const answer = await fetch(`/api/flags/${name}/evaluate`, {
    method: "POST",
    headers: {"content-type": "application/json", "x-csrftoken": csrf},
    body: JSON.stringify({context}),
  });
  return (await answer.json()).value;
}"""
COLOURS = [
    {"name": "blue", "value": "#1e66f5", "weight": 5000},
    {"name": "green", "value": "#40a02b", "weight": 3000},
    {"name": "red", "value": "#d20f39", "weight": 2000, "effect": {"model": "demo-large"}},
]  # fmt: skip
NORDIC = {
    "name": "Nordic customers",
    "conditions": [
        {"attribute": "country", "operator": "in", "value": ["SE", "NO", "DK"]},
        {"attribute": "appVersion", "operator": "semver_gte", "value": "2.1.0"},
    ],
    "variant": "green",
}


@pytest.fixture
def shoot(site: Site, tmp_path: Path) -> Shoot:
    """Photograph the page; kept where DOCS_IMAGES says."""

    def take(name: str, part: str = "") -> None:
        folder = os.environ.get("DOCS_IMAGES") if name.startswith("flags-") else None
        target = Path(folder or os.environ.get("SCRATCH_IMAGES") or tmp_path)
        path = target / f"{name}.png"
        if part:
            site.page.locator(part).screenshot(path=path, animations="disabled")
        else:
            site.page.screenshot(path=path, full_page=True, animations="disabled")

    return take


@pytest.fixture
def anna(site: Site) -> FlagActor:
    return user_actor(User.objects.create_user("anna", is_staff=True))


@pytest.fixture
def flag(anna: FlagActor) -> Flag:
    """A flag in the middle of its life."""
    made = services.create_flag(
        {
            "name": "button_colour",
            "kind": "string",
            "note": "The colour of the big button on the canvas page.",
            "purpose": "experiment",
            "owner": "anna",
            "tags": ["canvas"],
            "variants": COLOURS,
            "default_variant": "blue",
            "off_variant": "blue",
            "percent": 20,
            "rules": [NORDIC],
            "tiers": ["enterprise"],
            "target_variant": "red",
            "expires_on": (timezone.now() + timedelta(days=60)).date().isoformat(),
        },
        actor=anna,
        reason="Does colour matter?",
    )
    made = services.set_percent(made, 25, actor=anna, reason="Nobody complained")
    services.ramp(
        made,
        to=100,
        step=5,
        every=timedelta(days=1),
        start=timezone.now() + timedelta(hours=20),
        actor=anna,
        reason="Five points a day",
    )
    made.refresh_from_db()
    return made


@pytest.fixture
def asked(flag: Flag) -> None:
    """A week in which programs asked for it."""
    dice, now = random.Random(3), timezone.now()
    for hours in range(24 * 7):
        busy = dice.randint(40, 60) * (3 if hours % 24 < 12 else 1)
        counts = {
            ExposureKey(flag.name, "blue"): busy * 9,
            ExposureKey(flag.name, "green"): busy * 2,
            ExposureKey(flag.name, "red"): busy + dice.randint(0, 40),
        }
        exposure.add(counts, now - timedelta(hours=hours))


def more_flags(anna: FlagActor) -> None:
    """Others for the list: one past its date, one off, one killed."""
    past = (timezone.now() - timedelta(days=9)).date().isoformat()
    services.create_flag(
        {"name": "old_checkout", "note": "The checkout of last year.", "percent": 100, "expires_on": past, "owner": "anna"},
        actor=anna,
    )  # fmt: skip
    made = services.create_flag(
        {"name": "beta_export", "note": "Export to slides.", "tiers": ["pro"]},
        actor=anna,
    )
    services.disable(made, actor=anna, reason="Not ready")
    made = services.create_flag(
        {"name": "live_preview", "note": "Preview while typing.", "percent": 50},
        actor=anna,
    )
    services.kill(made, actor=anna, reason="Too slow on phones")


def url_of(flag: Flag) -> str:
    return f"{LIST}{flag.pk}/change/"


def dark_and_narrow(site: Site, shoot: Shoot, name: str) -> None:
    """The same page in the dark, then on a phone: nothing sticks out."""
    page = site.page
    page.evaluate("document.documentElement.classList.add('dark')")
    shoot(f"{name}-dark")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    shoot(f"{name}-narrow")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.evaluate("document.documentElement.classList.remove('dark')")


def ask(page: Page, name: str, **context: object) -> object:
    return page.evaluate(ASK, [name, context])


def test_kill__one_click_and_a_confirm__the_next_request_is_off(
    site: Site, anna: FlagActor, shoot: Shoot
) -> None:
    flag = services.create_flag({"name": "new_checkout", "percent": 100}, actor=anna)
    page = site.open(LIST)
    assert ask(page, flag.name, user="ann") is True
    page.click("a.vf-kill")
    page.fill("#id_reason", "Customers cannot pay")
    shoot("flags-kill")
    page.click("button:has-text('Kill now')")
    page.wait_for_url(f"**{LIST}")
    assert ask(page, flag.name, user="ann") is False
    expect(page.locator("#result_list")).to_contain_text("killed")
    flag.refresh_from_db()
    assert flag.killed_by == "boss"
    page.click("a.vf-revive")
    page.fill("#id_reason", "Repaired")
    page.click("button:has-text('Revive')")
    page.wait_for_url(f"**{LIST}")
    assert ask(page, flag.name, user="ann") is True
    assert [one.action for one in flag.events.order_by("id")] == ["created", "killed", "revived"]  # fmt: skip
    assert site.complaints == []


def test_list__flags_of_all_states__are_told_at_a_glance(
    site: Site, anna: FlagActor, asked: None, shoot: Shoot
) -> None:
    more_flags(anna)
    page = site.open(LIST)
    rows = page.locator("#result_list")
    for text in (
        "killed",
        "scheduled",
        "stale: expired",
        "+ 1 rule",
        "30\u00a0% of users",
    ):
        expect(rows).to_contain_text(text)
    assert site.overflow() == 0
    shoot("flags-list")
    dark_and_narrow(site, shoot, "list")
    page = site.open(LIST)
    page.click("nav >> text=Stale")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    assert site.complaints == []


def test_page__slider_moved_and_saved__more_users_get_it(
    site: Site, flag: Flag, asked: None, shoot: Shoot
) -> None:
    page = site.open(url_of(flag))
    expect(page.locator("#exposures svg rect").first).to_be_attached()
    expect(page.locator("#variants [data-total] b")).to_have_text("100")
    assert site.overflow() == 0
    shoot("flags-page")
    dark_and_narrow(site, shoot, "page")
    page.locator("[data-slider]").evaluate(
        "one => { one.value = 40; one.dispatchEvent(new Event('input', {bubbles: true})) }"
    )
    expect(page.locator("#id_rollout_percent")).to_have_value("40")
    page.fill("#id_rollout_reason", "It sells")
    page.click("button:has-text('Set the percentage')")
    expect(page.locator("body")).to_contain_text("now goes to 40 % of users")
    flag.refresh_from_db()
    assert flag.share == 4000
    # By hand: the ramp is over.
    assert not flag.schedule.filter(state="pending").exists()
    assert site.complaints == []


def test_tester__a_user_of_a_rule__is_told_what_and_why(
    site: Site, flag: Flag, shoot: Shoot
) -> None:
    page = site.open(url_of(flag))
    page.fill("#tester #id_user", "alice")
    page.fill("#tester #id_more", "country = SE\nappVersion = 2.3.0")
    page.click("#tester button[type=submit]")
    tried = page.locator("#tried")
    for text in ("green", "Rule 'Nordic customers' matches.", "TARGETING_MATCH"):
        expect(tried).to_contain_text(text)
    shoot("flags-tester", "#tester")
    page.fill("#tester #id_more", "country")
    page.click("#tester button[type=submit]")
    expect(tried).to_contain_text("write it as country = SE")
    assert site.complaints == []


def test_rule__built_row_by_row__is_read_back_and_decides(
    site: Site, flag: Flag, shoot: Shoot
) -> None:
    page = site.open(url_of(flag))
    page.click("text=Add a rule")
    page.fill("#id_rule_name", "Old apps stay blue")
    row = page.locator("[data-list] [data-row]").first
    row.locator("[name=when_attribute]").fill("appVersion")
    row.locator("[name=when_operator]").select_option("gte")
    expect(row.locator("[name=when_type]")).to_have_value("number")
    row.locator("[name=when_type]").select_option("text")
    row.locator("[name=when_operator]").select_option("semver_lt")
    row.locator("[name=when_value]").fill("two")
    said = page.locator(".vf-preview")
    expect(said).to_contain_text("the value is a version")
    row.locator("[name=when_value]").fill("2.0.0")
    page.click("text=Add a condition")
    second = page.locator("[data-list] [data-row]").nth(1)
    second.locator("[name=when_attribute]").fill("tier")
    second.locator("[name=when_value]").fill("free, pro")
    page.select_option("#id_rule_variant", "blue")
    expect(said).to_have_text(
        "If appVersion is older than version 2.0.0 and tier is one of free, pro: “blue”."
    )
    shoot("flags-rule")
    dark_and_narrow(site, shoot, "rule")
    page.fill("#id_rule_reason", "They cannot show the others")
    page.click("text=Save the rule")
    page.wait_for_url("**/change/#rules")
    up = page.locator("#rules [data-up]").nth(1)
    up.click()
    page.fill("#id_rules_reason", "It has to win")
    page.click("text=Save the order")
    expect(page.locator("body")).to_contain_text("The order is saved")
    assert [rule.name for rule in flag.rules.order_by("order")] == ["Old apps stay blue", "Nordic customers"]  # fmt: skip
    assert ask(page, flag.name, tier="pro", appVersion="1.9.0") == "#1e66f5"
    assert site.complaints == []


def test_ramp__five_points_a_day__is_on_the_timeline(
    site: Site, flag: Flag, anna: FlagActor, shoot: Shoot
) -> None:
    services.set_percent(flag, 10, actor=anna, reason="Slower")
    page = site.open(url_of(flag))
    page.click("text=Ramp: change the percentage step by step")
    start = timezone.now() + timedelta(days=1)
    page.fill("#id_ramp_start", f"{start:%Y-%m-%dT09:00}")
    page.fill("#id_ramp_reason", "Five points a day")
    page.click("button:has-text('Start the ramp')")
    expect(page.locator("body")).to_contain_text("18 steps are scheduled")
    page.click("#schedule summary:has-text('All steps')")
    expect(page.locator(".vf-steps li")).to_have_count(17)
    shoot("flags-ramp", "#schedule")
    page.click("text=Cancel the ramp")
    page.fill("#id_decide_reason", "Wait for the holidays")
    page.click("button:has-text('Cancel the ramp')")
    expect(page.locator("body")).to_contain_text("The rest of the ramp is cancelled")
    assert not flag.schedule.filter(state="pending").exists()
    assert site.complaints == []


def test_save__somebody_was_faster__is_told_who_and_keeps_the_entry(
    site: Site, flag: Flag, anna: FlagActor, shoot: Shoot
) -> None:
    page = site.open(url_of(flag))
    services.set_percent(flag, 60, actor=anna, reason="Black Friday")
    page.fill("#id_rollout_percent", "30")
    page.fill("#id_rollout_reason", "A bit more")
    page.click("button:has-text('Set the percentage')")
    alarm = page.locator("#conflict")
    expect(alarm).to_contain_text("anna changed the flag first")
    expect(alarm).to_contain_text("60\u00a0%")
    expect(page.locator("#id_rollout_percent")).to_have_value("30")
    shoot("flags-conflict")
    page.click("button:has-text('Set the percentage')")
    expect(page.locator("body")).to_contain_text("now goes to 30 % of users")
    assert [one for one in site.complaints if "409" not in one] == []


def test_save__another_part_is_not_saved__warns_before_it_is_lost(
    site: Site, flag: Flag
) -> None:
    page, warned = site.open(url_of(flag)), []

    def stay(dialog: Dialog) -> None:
        warned.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.locator("#id_audience_tiers").fill("gold")
    page.fill("#id_rollout_percent", "30")
    page.fill("#id_rollout_reason", "More")
    page.click("button:has-text('Set the percentage')", no_wait_after=True)
    expect(page.locator("#id_audience_tiers")).to_have_value("gold")
    assert warned == ["beforeunload"]
    flag.refresh_from_db()
    assert flag.share == 2500


def test_variants__weights_edited__have_to_make_a_hundred(
    site: Site, flag: Flag
) -> None:
    page = site.open(url_of(flag))
    page.locator("[data-weight]").nth(0).fill("40")
    expect(page.locator("[data-total]")).to_have_class("vf-total vf-wrong")
    page.click("text=Add a variant")
    row = page.locator("#variants [data-row]").nth(3)
    row.locator("[name=variant_name]").fill("grey")
    row.locator("[name=variant_value]").fill("#999999")
    row.locator("[data-weight]").fill("10")
    expect(page.locator("[data-total]")).to_have_class("vf-total")
    page.fill("#id_variants_reason", "Try grey as well")
    page.click("text=Save the variants")
    expect(page.locator("body")).to_contain_text("The variants are saved")
    assert list(flag.variants.order_by("pk").values_list("name", "weight")) == [
        ("blue", 4000), ("green", 3000), ("red", 2000), ("grey", 1000),
    ]  # fmt: skip
    assert site.complaints == []
