"""An operator at the admin: each act governs the very next answer of a client."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import openai
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from llm.chaos.plan import FaultPlan
from tests.browser.conftest import PASSWORD, Site
from tests.fixtures_billing import unique
from tests.journeys.conftest import Stack
from tests.live.test_stored_prompts import make_prompt
from tests.live.world import request_id
from tests.llm.chaos.runs import make_run
from tests.site.door_steps import code

pytestmark = [pytest.mark.live, pytest.mark.browser]


def make_operator() -> User:
    """Its password is hashed as production does, not as tests do."""
    user = User.objects.create_superuser(unique("operator"), "olga@example.com")
    user.password = PBKDF2PasswordHasher().encode(PASSWORD, unique("salt"))
    user.save()
    return user


def log_in(site: Site, name: str) -> None:
    """Password, then the second factor, which production demands."""
    page = site.open("/admin/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("#login-form button").first.click()
    page.get_by_role("link", name="Add an app").click()
    secret = page.get_by_label("Secret of the authenticator app").input_value()
    page.get_by_label("Authenticator code").fill(code(secret))
    page.locator("main").get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_label("Recovery codes")).to_be_visible()


@pytest.fixture
def site(stack: Stack, context: BrowserContext) -> Iterator[Site]:
    """Logged in, by way of the door."""
    user = stack.world.db(make_operator)
    one = Site(context.new_page(), stack.server.url)
    one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
    log_in(one, user.username)
    yield one
    one.page.close()


def answer(stack: Stack, model: str, key: str = "", **fields: Any) -> Any:
    """The very next answer, by the official SDK."""
    messages = fields.pop("messages", [{"role": "user", "content": unique("Say")}])
    with stack.world.sdk(key) as client:
        return client.chat.completions.with_raw_response.create(
            model=model, messages=messages, **fields
        )


def prompted(stack: Stack, model: str, prompt: str, key: str = "") -> Any:
    asked = {"id": prompt, "variables": {"name": "Ann"}}
    found = answer(stack, model, key, messages=[], extra_body={"prompt": asked})
    return found.parse().choices[0].message.content


def decide(page: Page, reason: str) -> None:
    page.fill("#id_reason", reason)
    page.click("form.vp-decide button[type=submit]")
    page.wait_for_url("**/change/")


def test_prompt__edited_published_rolled_out_and_back__the_next_answer_has_it(
    stack: Stack, site: Site
) -> None:
    model = stack.world.serve("echo").model
    prompt = stack.world.db(make_prompt, "Hello {{name}}!")
    assert prompted(stack, model, prompt.key) == "Hello Ann!"
    page = site.open(f"/admin/prompts/prompt/{prompt.pk}/change/")
    page.fill("#id_template", "Good day {{name}}!")
    page.fill("#id_note", "More formal")
    page.click("text=Save and publish")
    page.wait_for_url("**/move/**")
    decide(page, "Customers are adults")
    assert prompted(stack, model, prompt.key) == "Good day Ann!"
    page.fill("#id_template", "Hi {{name}}!")
    page.fill("#id_note", "Less formal")
    page.click("text=Save as version 3")
    page.wait_for_url("**/change/")
    page.click(".vp-live a:has-text('Gradually')")
    page.fill("#id_share", "99")
    page.fill("#id_reason", "Try it on all")
    page.click("text=Start the rollout")
    page.wait_for_url("**/change/")
    # One in a hundred customers does not get it.
    keys = [stack.world.new_customer()[1] for _time in range(4)]
    assert "Hi Ann!" in {prompted(stack, model, prompt.key, key) for key in keys}
    page.click("text=Change or end it")
    page.locator("form:has([value=rollback]) textarea").fill("Too short")
    page.click("button:has-text('Roll back')")
    page.wait_for_url("**/change/")
    assert prompted(stack, model, prompt.key) == "Good day Ann!"
    assert site.complaints == []


def test_flag__created_and_killed__is_off_for_the_next_evaluation(
    stack: Stack, site: Site
) -> None:
    key = stack.world.new_key(scopes=["flags:evaluate"])
    name = unique("canvas").replace("-", "_")
    page = site.open("/admin/flags/flag/add/")
    page.fill("#id_name", name)
    page.fill("#id_percent", "100")
    page.click("[name=_save]")
    path = f"/ofrep/v1/evaluate/flags/{name}"
    asked = {"context": {"targetingKey": "ann"}}
    assert stack.world.post(path, key, **asked).json["value"] is True
    page = site.open(f"/admin/flags/flag/?q={name}")
    page.click("a.vf-kill")
    page.fill("#id_reason", "Customers cannot pay")
    page.click("button:has-text('Kill now')")
    page.wait_for_url("**/admin/flags/flag/")
    assert stack.world.post(path, key, **asked).json["value"] is False
    assert site.complaints == []


def test_quota__refusal_read_and_tier_raised__the_next_request_passes(
    stack: Stack, site: Site
) -> None:
    world, model = stack.world, stack.world.serve("ok").model
    customer, key = world.new_customer(daily_requests=1)
    spent = answer(stack, model, key)
    with pytest.raises(openai.RateLimitError):
        answer(stack, model, key)
    refused = world.chat(model, key=key)
    path = f"/v1/requests/{request_id(refused)}"
    world.eventually(lambda: world.request(path, key=key).status == 200)
    page = site.open(f"/admin/billing/refusal/{request_id(refused)}/change/")
    expect(page.locator("body")).to_contain_text("had 1 used of 1")
    world.usage(spent.headers["x-request-id"])
    site.open("/admin/billing/counter/spend/")
    page = site.open(f"/admin/billing/tier/{customer.tier.pk}/change/")
    page.fill("#id_daily_requests", "5")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile(r"/admin/billing/tier/$"))
    assert answer(stack, model, key).http_response.status_code == 200
    assert site.complaints == []


def test_breaker__forced_open_and_released__the_next_request_fails_and_passes(
    stack: Stack, site: Site
) -> None:
    served = stack.world.serve("ok")
    [provider] = served.providers
    answer(stack, served.model)
    until = timezone.now() + timedelta(hours=2)
    page = site.open(f"/admin/llm/breakeroverride/add/?provider={provider}")
    page.fill("#id_reason", "Maintenance there")
    page.fill("#id_expires_at_0", f"{until:%Y-%m-%d}")
    page.fill("#id_expires_at_1", f"{until:%H:%M:%S}")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/states/")
    with pytest.raises(openai.InternalServerError) as refused:
        answer(stack, served.model)
    assert refused.value.status_code == 503
    page.get_by_role("link", name="Back to automatic").first.click()
    page.get_by_role("button", name=re.compile("sure")).click()
    page.wait_for_url(re.compile(r"/breakeroverride/(states/)?$"))
    assert answer(stack, served.model).http_response.status_code == 200
    assert site.complaints == []


def test_chaos__stopped_by_the_banner__answers_are_whole_again(
    stack: Stack, site: Site
) -> None:
    world, served = stack.world, stack.world.serve("ok")
    stack.manage("chaos", "open", "--hours", "1", "--reason", "Game day")
    plan = FaultPlan("error", {"status": 503}, model_names=frozenset({served.model}))
    world.db(make_run, plan, name=unique("refuse"), lease_s=600, is_drill=True)
    world.eventually(lambda: world.chat(served.model).status != 200)
    page = site.open("/admin/")
    page.click("#chaos-banner button:has-text('Stop all')")
    expect(page.locator("body")).to_contain_text("Faults end within seconds")
    world.eventually(lambda: world.chat(served.model).status == 200)
    assert answer(stack, served.model).http_response.status_code == 200
    assert site.complaints == []


def test_backup__made_by_the_command__is_on_the_page(stack: Stack, site: Site) -> None:
    stack.manage("backup", "--no-verify")
    page = site.open("/admin/backups/backup/")
    expect(page.locator("#result_list tbody tr").first).to_contain_text("Stored")
    assert site.complaints == []
