"""The life of a prompt, as an operator lives it, in a browser.

With DOCS_IMAGES naming a folder, the pages are photographed into it for the guide.
"""

import os
import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Dialog, Page, expect

from prompts import services
from prompts.models import Prompt
from prompts.services import PromptActor
from tests.admin.prompt_rows import live_number, make_prompt, make_version, publish
from tests.admin.rows import make_usage
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
Shoot = Callable[[str], None]
VARIABLES = [
    {"name": "business", "description": "What it does, in a sentence"},
    {"name": "industry", "default": "unknown", "schema": {"type": "string", "maxLength": 60}},
]  # fmt: skip
WORDS = (
    "Write a business model canvas for {{business}}.\nThe industry is {{industry}}.\n\n"
    "Give one line for each of its nine blocks.",
    "Write a business model canvas for {{business}}.\nThe industry is {{industry}}.\n\n"
    "Give two short lines for each of its nine blocks.\nUse plain words.",
    "{{> house.style}}\n\nWrite a business model canvas for {{business}}.\nThe industry "
    "is {{industry}}.\n\nGive two short lines for each of its nine blocks.\nUse plain "
    "words. End with the riskiest assumption.",
)
NOTES = (
    "First version",
    "Two lines: customers asked for more detail",
    "House style, and the riskiest assumption",
)


@pytest.fixture
def shoot(site: Site) -> Shoot:
    """Photograph the page, if a folder is named."""

    def take(name: str) -> None:
        folder = os.environ.get("DOCS_IMAGES")
        if folder:
            site.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return take


@pytest.fixture
def anna(site: Site) -> PromptActor:
    return PromptActor.from_user(User.objects.create_user("anna", is_staff=True))


@pytest.fixture
def prompt(anna: PromptActor) -> Prompt:
    """Three versions, the second one live after the first."""
    style = make_prompt("house.style", folder="shared", description="How we write.")
    make_version(style, "Write plain English. No jargon.", actor=anna, note="First")
    publish(style, 1, by=anna)
    made = make_prompt(
        "canvas.generate",
        folder="canvas",
        description="Makes a business model canvas from a few words about a business.",
        owner=anna.user,
        tags=["canvas"],
    )
    for words, note in zip(WORDS, NOTES, strict=True):
        make_version(made, words, actor=anna, note=note, variables=VARIABLES)
    publish(made, 1, by=anna, why="First release")
    publish(made, 2, by=anna, why="Customers asked for more detail")
    return made


@pytest.fixture
def demo(site: Site, demo_provider: DemoProcess) -> None:
    """A model that answers, and somebody to bill."""
    provider = make_provider("demo", name="Demo", base_url=demo_provider.url)
    make_route(make_model("demo-chat"), provider, upstream_model="demo-chat")
    make_price("demo", "demo-chat")
    make_customer("anna@example.com")


def url_of(prompt: Prompt, name: str = "change") -> str:
    return f"/admin/prompts/prompt/{prompt.pk}/{name}/"


def write(page: Page, text: str) -> None:
    """Type into the editor, letter by letter, as people do."""
    page.locator("#id_template").press_sequentially(text)


def test_create__edited_previewed_and_published__is_live(
    site: Site, demo: None
) -> None:
    page = site.open("/admin/prompts/prompt/")
    page.click("text=Add prompt")
    page.fill("#id_key", "mail.welcome")
    page.fill("#id_folder", "mail")
    page.click("button[name=_save]")
    page.wait_for_url("**/change/")
    write(page, "Welcome {{na")
    expect(page.locator(".vp-variable")).to_have_count(0)
    write(page, "me}} to our shop.")
    expect(page.locator(".vp-name")).to_have_text(["name"])
    expect(page.locator("#preview .vp-missing")).to_have_text("{{name}}")
    page.fill("[name=var_sample]", "<b>Ann</b>")
    expect(page.locator("#preview .vp-value")).to_have_text("<b>Ann</b>")
    expect(page.locator("#estimate")).to_contain_text("demo-chat")
    page.fill("#id_note", "First words")
    page.click("text=Save and publish")
    page.wait_for_url("**/move/**")
    page.fill("#id_reason", "The shop opens")
    page.click("form.vp-decide button[type=submit]")
    page.wait_for_url("**/change/")
    expect(page.locator(".vp-live")).to_contain_text("Version 1")
    prompt = Prompt.objects.get(key="mail.welcome")
    assert live_number(prompt) == 1
    assert prompt.versions.get().template == "Welcome {{name}} to our shop."
    # The sample is kept for the next time, in this browser only.
    expect(page.locator("[name=var_sample]")).to_have_value("<b>Ann</b>")
    expect(page.locator("#preview .vp-value")).to_have_text("<b>Ann</b>")
    assert site.complaints == []


def test_chips__pressed__go_where_the_cursor_is(site: Site, prompt: Prompt) -> None:
    page = site.open(url_of(prompt))
    area = page.locator("#id_template")
    area.fill("Hello , bye.")
    area.evaluate("area => area.setSelectionRange(6, 6)")
    # The words no longer use it: its row says so, and stays until it is removed.
    expect(page.locator(".vp-unused .vp-name")).to_have_text(["business", "industry"])
    page.click("#chips >> text=business")
    expect(area).to_have_value("Hello {{business}}, bye.")
    expect(page.locator(".vp-unused .vp-name")).to_have_text(["industry"])
    page.click(".vp-unused [data-remove]")
    expect(page.locator("#chips button")).to_have_text(["business"])
    page.click("text=+ New variable")
    page.keyboard.type("tone")
    expect(page.locator("#chips button")).to_have_text(["business", "tone"])
    assert site.complaints == []


def test_chat__messages_added_moved_and_removed__saved_in_order(site: Site) -> None:
    prompt = make_prompt("support.reply", kind="chat")
    page = site.open(url_of(prompt))
    areas = page.locator("#messages textarea")
    areas.nth(0).fill("Be kind to {{customer}}.")
    areas.nth(1).fill("{{mail}}")
    page.click("text=+ Add a message")
    page.keyboard.type("Dear")
    expect(page.locator("#messages select").nth(2)).to_have_value("assistant")
    page.locator("#messages [data-up]").nth(2).click()
    page.locator("#messages [data-remove]").nth(2).click()
    expect(page.locator("#chips button")).to_have_text(["customer", "mail"])
    expect(page.locator("#preview .vp-role")).to_have_text(["system", "assistant"])
    page.fill("#id_note", "First")
    page.click("text=Save as version 1")
    page.wait_for_url("**/change/")
    assert [one["role"] for one in prompt.versions.get().messages] == [
        "system",
        "assistant",
    ]
    assert site.complaints == []


def test_edit__nothing_saved__the_browser_asks_before_leaving(
    site: Site, prompt: Prompt
) -> None:
    page = site.open(url_of(prompt))
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    write(page, " More.")
    expect(page.locator("#unsaved")).to_be_visible()
    page.click("a:has-text('Details')")
    page.wait_for_url("**/details/")
    assert asked == ["beforeunload"]


def test_edit__somebody_was_faster__words_stay_and_are_saved_on_top(
    site: Site, prompt: Prompt, anna: PromptActor, shoot: Shoot
) -> None:
    page = site.open(url_of(prompt))
    page.fill("#id_template", "My own words for {{business}}.")
    page.fill("#id_note", "Shorter")
    words = WORDS[2].replace("riskiest assumption", "three riskiest assumptions")
    make_version(prompt, words, actor=anna, note="Three risks", variables=VARIABLES)
    page.click("text=Save as version 4")
    lost = page.locator("#lost")
    expect(lost).to_contain_text("anna saved version 4 while you were writing")
    expect(lost.locator("ins").first).to_be_visible()
    expect(page.locator("#id_template")).to_have_value("My own words for {{business}}.")
    shoot("prompts-conflict")
    page.click("text=Save as version 5")
    page.wait_for_url("**/change/")
    newest = prompt.versions.first()
    assert newest is not None
    assert (newest.number, newest.note) == (5, "Shorter")
    # The browser itself notes that the answer was a 409.
    assert all("409" in one for one in site.complaints)


def test_compare__two_versions__side_by_side(
    site: Site, prompt: Prompt, shoot: Shoot
) -> None:
    page = site.open(url_of(prompt))
    page.click("a:has-text('Compare') >> nth=0")
    expect(page.locator(".vp-diff ins").first).to_contain_text("house.style")
    page.select_option("[name=left]", "1")
    page.click("button:has-text('Compare')")
    page.wait_for_url("**left=1**")
    expect(page.locator(".vp-heads")).to_contain_text("First version")
    shoot("prompts-compare")
    assert site.complaints == []


def test_publish__label_moved_meanwhile__is_told_who_and_decides_again(
    site: Site, prompt: Prompt, anna: PromptActor, shoot: Shoot
) -> None:
    page = site.open(url_of(prompt))
    page.click(".vp-live a:has-text('Publish')")
    page.fill("#id_reason", "House style everywhere")
    shoot("prompts-publish")
    publish(prompt, 1, by=anna, why="The second one was too long")
    submit = "form.vp-decide button[type=submit]"
    page.click(submit)
    expect(page.locator("#conflict")).to_contain_text("anna changed it first")
    assert live_number(prompt) == 1
    page.click(submit)
    page.wait_for_url("**/change/")
    assert live_number(prompt) == 3


def test_rollback__from_the_prompts_page__takes_two_clicks_and_a_reason(
    site: Site, prompt: Prompt, shoot: Shoot
) -> None:
    page = site.open(url_of(prompt))
    page.click("text=Roll back to version 1")
    # The field has the focus already.
    page.wait_for_url("**/rollback/")
    page.keyboard.type("Answers became too long")
    shoot("prompts-rollback")
    page.click("form.vp-decide button[type=submit]")
    page.wait_for_url("**/change/")
    assert live_number(prompt) == 1
    expect(page.locator("#history")).to_contain_text(
        "rolled production back from version 2 to 1"
    )
    expect(page.locator("#history")).to_contain_text("Answers became too long")
    assert site.complaints == []


def test_rollout__started_and_raised__can_be_rolled_back(
    site: Site, prompt: Prompt, shoot: Shoot
) -> None:
    page = site.open(url_of(prompt))
    page.click(".vp-live a:has-text('Gradually')")
    page.select_option("#id_plan", "careful")
    page.fill("#id_reason", "See whether it costs more")
    page.click("text=Start the rollout")
    page.wait_for_url("**/change/")
    expect(page.locator(".vp-live")).to_contain_text("of users get version 3")
    page.click("text=Change or end it")
    shoot("prompts-rollout")
    page.locator("form:has(#id_share) textarea").fill("It does not")
    page.fill("#id_share", "20")
    page.click("text=Set the share")
    page.wait_for_url("**/change/")
    assert prompt.rollouts.get().share == 2000
    page.click("text=Change or end it")
    page.locator("form:has([value=rollback]) textarea").fill("It does after all")
    page.click("button:has-text('Roll back')")
    page.wait_for_url("**/change/")
    assert prompt.rollouts.get().state == "rolled_back"
    assert site.complaints == []


def test_experiment__set_up_from_the_page__knows_the_prompt(
    site: Site, prompt: Prompt
) -> None:
    page = site.open(url_of(prompt))
    page.click("text=Set one up")
    page.wait_for_url("**/experiment/add/**")
    expect(page.locator("#id_prompt")).to_have_value(str(prompt.pk))


def test_try__two_versions__answers_beside_each_other(
    site: Site, demo: None, prompt: Prompt, shoot: Shoot
) -> None:
    page = site.open(url_of(prompt))
    page.fill("[name=var_sample] >> nth=0", "a bakery that delivers by bicycle")
    # A sample alone is no change to save: the browser does not ask.
    page.click("a:has-text('Try it')")
    expect(page.locator("[name='value:business']")).to_have_value(
        "a bakery that delivers by bicycle"
    )
    page.select_option("#id_model", "demo-chat")
    page.click("text=Send")
    expect(page.locator(".vp-answers .vc-answer")).to_have_count(2)
    shoot("prompts-try")
    assert site.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 420])
def test_pages__wide_narrow_light_dark__no_complaint_and_no_overflow(
    site: Site, prompt: Prompt, demo: None, shoot: Shoot, width: int, scheme: str
) -> None:
    _use(prompt)
    services.move_label(
        prompt,
        "staging",
        3,
        expected=None,
        actor=PromptActor("anna", is_superuser=True),
    )
    if (width, scheme) == (1440, "light"):
        _shoot_all(site, prompt, shoot)
    make_prompt("a-very-long-key-" * 6, description="Very " * 90, versions=1)
    chat = make_prompt("support.reply", kind="chat", folder="support/mail")
    site.page.set_viewport_size({"width": width, "height": 900})
    site.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    names = ("change", "details", "compare", "rollback", "rollout", "archive")
    urls = [url_of(one, name) for one in (prompt, chat) for name in names]
    more = (
        f"{url_of(prompt, 'move')}?version=3",
        f"/admin/llm/model/prompts/{prompt.pk}/try/",
        "/admin/prompts/promptevent/",
    )
    for url in (*urls, *more, "/admin/prompts/prompt/"):
        site.open(url)
        assert site.overflow() == 0, url
    assert site.complaints == []


def _shoot_all(site: Site, prompt: Prompt, shoot: Shoot) -> None:
    page = site.open(url_of(prompt))
    page.fill("[name=var_sample] >> nth=0", "a bakery that delivers by bicycle")
    expect(page.locator("#usage table")).to_be_visible()
    expect(page.locator("#estimate table")).to_be_visible()
    expect(page.locator("#preview .vp-value")).to_be_visible()
    shoot("prompts-workspace")
    reply = make_prompt("mail.reply", folder="mail", versions=4, live=3)
    services.start_rollout(
        reply,
        4,
        share=2500,
        actor=PromptActor("anna", is_superuser=True),
        reason="careful",
    )
    make_prompt("mail.triage", folder="mail", versions=1)
    site.open("/admin/prompts/prompt/")
    shoot("prompts-list")


def _use(prompt: Prompt) -> None:
    """A week of requests."""
    chance = random.Random(4)
    customer, now = make_customer(), timezone.now()
    for _ in range(150):
        version = chance.choice([1, 2, 2, 2, 3])
        make_usage(
            customer,
            prompt_key=prompt.key,
            prompt_version=version,
            created_at=now - timedelta(hours=160 * chance.random()),
            latency_ms=int(chance.lognormvariate(6.3 + 0.1 * version, 0.5)),
            cost_usd=Decimal(chance.randint(200, 900)) / 1_000_000,
            status="ok" if chance.random() > 0.03 * version else "error",
        )
