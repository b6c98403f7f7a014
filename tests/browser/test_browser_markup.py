"""No text that anybody or anything can set becomes markup of a page of the admin."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote as quoted
from django.contrib.auth.models import Permission, User
from django.core import signing
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone
from playwright.sync_api import Dialog, Error

from billing.models import ApiKey
from billing.usage.own_page import COOKIE, SALT
from flags import services as flags
from flags.models import Flag
from llm.models import CacheEpoch, RecurringJob
from prompts import services as prompts
from prompts.experiments import service as experiments
from prompts.models import Prompt
from tests.admin.prompt_rows import NOBODY, make_version
from tests.admin.provider_server import listening
from tests.admin.rows import MAKE
from tests.browser.conftest import Site
from tests.browser.planting import PAYLOADS, plant
from tests.faults.counts import either
from tests.fixtures_billing import (
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
)
from tests.flags.rows import ADA, make_colours
from tests.prompts.experiments.rows import make_draft
from tests.security.payloads import PAYLOADS as ALL
from valuecanvas.core.audit.models import AuditEntry
from valuecanvas.core.management.commands.flush import SCHEDULES

pytestmark = pytest.mark.browser
# Attributes that a browser, Alpine or htmx would run.
FOUND = """() => {
    const found = [], runs = /^(on|x-|@|:|hx-|data-hx-|srcdoc|style|formaction)/i;
    for (const one of document.querySelectorAll('*')) {
        if (one.localName === 'x-planted') found.push(one.outerHTML.slice(0, 300));
        for (const {name, value} of one.attributes) {
            const url = /^(href|src|action|formaction|data)$/i.test(name)
                && /^[\\s\\0]*(javascript|vbscript|data:text)/i.test(value);
            if ((runs.test(name) && value.includes('planted')) || url)
                found.push(one.outerHTML.slice(0, 300));
        }
    }
    if ('planted' in window) found.push('it ran');
    if (document.body.innerText.includes('x-planted>42')) found.push('it was rendered');
    return [...found, ...(window.refusals ?? [])];
}"""
# What the content security policy kept from running: on these pages, nothing may try.
LISTEN = """window.refusals = [];
document.addEventListener('securitypolicyviolation', one => window.refusals.push(
    `${one.violatedDirective} ${one.blockedURI} ${one.sample}`));"""
# Ends the session, or is a file of Django's.
# The last two are files.
NOT_OPENED = {
    "logout", "jsi18n", "view_on_site", "autocomplete", "billing_customer_export",
    "core_auditentry_export", "llm_chaosrun_report",
}  # fmt: skip
# What a page must be asked for.
ASKED = {
    "prompts_prompt_compare": "?left=1&right=2",
    "prompts_prompt_move": "?version=2",
    "prompts_prompt_remove_label": "?label=production",
}
PART = re.compile(r"<(?:\w+:)?(\w+)>")


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    settings.CHAOS_ENABLED = True


def routes(patterns: list[Any], app: str = "") -> Iterator[tuple[str, str]]:
    """The name and the pattern of each page of the admin."""
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, app + str(one.pattern))
        elif isinstance(one, URLPattern) and one.name:
            yield one.name, app + str(one.pattern)


def make_rows() -> dict[str, Any]:
    """One row of everything, with all its parts; by the label of its model."""
    rows = {label: make() for label, make in MAKE.items()}
    rows["llm.provider"] = make_provider()
    rows["llm.model"] = make_model(PAYLOADS[0][:200])
    CacheEpoch.objects.create(target=f"model:{PAYLOADS[0]}"[:220])
    rows["llm.route"] = make_route(rows["llm.model"], rows["llm.provider"])
    rows["prompts.prompt"] = make_prompt_with_parts()
    rows["flags.flag"] = make_flag_with_parts()
    experiments.start(make_draft(key="running"), actor=NOBODY)
    return rows


def make_prompt_with_parts() -> Prompt:
    prompt = prompts.create_prompt(key="planted", actor=NOBODY)
    variable = {"name": "who", "description": "x", "default": "x", "schema": {"type": "string"}}  # fmt: skip
    for words in ("Hello {{who}}", "Dear {{who}}", "Hi {{who}}"):
        make_version(prompt, words, variables=[variable], tags=["x"])
    move = {"expected": None, "actor": NOBODY, "reason": "x"}
    prompts.move_label(prompt, "production", 1, **move)
    prompts.start_rollout(prompt, 2, share=1000, actor=NOBODY, reason="x")
    return prompt


def make_flag_with_parts() -> Flag:
    flag = make_colours("planted", blue=5000, red=5000)
    when = [{"attribute": "plan", "operator": "equals", "value": "x"}]
    rule = {"name": "x", "conditions": when, "variant": "red"}
    flag = flags.add_rule(flag, rule, actor=ADA)
    weights = {"weights": {"blue": 10_000}}
    at = timezone.now() + timedelta(days=1)
    flags.schedule(flag, "set_weights", at=at, payload=weights, actor=ADA, reason="x")
    return flag


def pages(rows: dict[str, Any]) -> Iterator[str]:
    """A path of every page: of the named rows, where it is about one."""
    parts = {
        "prompt_id": rows["prompts.prompt"].pk,
        "rule_id": rows["flags.flag"].rules.get().pk,
        "change_id": rows["flags.flag"].schedule.get().pk,
        "event_id": rows["flags.flag"].events.earliest("pk").pk,
        "app_label": "llm",
        "job_type": "completion",
        "drill": "redis-down",
        "uidb64": "MQ",
        "token": "planted",
    }
    for name, pattern in routes(admin.site.urls[0]):
        if name in NOT_OPENED:
            continue
        wanted = PART.findall(pattern) if "(?P" not in pattern else ["app_label"]
        own = next((row for label, row in rows.items() if name.startswith(label.replace(".", "_") + "_")), None)  # fmt: skip
        known = {**parts, "object_id": own and quoted(own.pk), "id": own and own.pk}
        path = reverse(f"admin:{name}", kwargs={part: known[part] for part in wanted})
        yield path + ASKED.get(name, "")


@pytest.fixture
def planted(site: Site) -> Iterator[Site]:
    site.page.context.on("request", lambda one: site.complaints.append(one.url))
    site.page.context.on("dialog", lambda one: note_dialog(site, one))
    site.page.context.add_init_script(LISTEN)
    without_looks(site)
    kept = [[*model.objects.all()] for model in SCHEDULES]
    rights = [*Permission.objects.all()]
    yield site
    # No flush takes these away, and the next tests want them without markup.
    Permission.objects.bulk_update(rights, ["name"])
    RecurringJob.objects.all().delete()
    for model in reversed(SCHEDULES):
        model.objects.all().delete()
    for model, rows in zip(SCHEDULES, kept, strict=True):
        model.objects.bulk_create(rows)


def without_looks(site: Site) -> None:
    """Only what pages do counts. A route of Playwright would switch the cache off."""
    session = site.page.context.new_cdp_session(site.page)
    session.send("Network.enable")
    session.send("Network.setBlockedURLs", {"urls": ["*.css", "*.woff2", "*.svg"]})


def found_on(site: Site, path: str) -> tuple[str, int, list[str]]:
    """The status of the page of that path, and the markup on it."""
    try:
        answer = site.page.goto(f"{site.url}{path}", wait_until="load")
    except Error as error:
        # An answer without a body: the browser goes to a page of its own, at its leisure.
        assert "ERR_HTTP_RESPONSE_CODE_FAILURE" in str(error)
        site.page = site.page.context.new_page()
        without_looks(site)
        return path, 405, []
    assert answer is not None
    return path, answer.status, site.page.evaluate(FOUND)


def usage_cookie(site: Site, key: ApiKey) -> Any:
    """Whoever has it sees the page /usage."""
    value = signing.dumps(key.prefix, salt=SALT)
    return {"name": COOKIE, "value": value, "url": f"{site.url}/usage"}


def note_dialog(site: Site, dialog: Dialog) -> None:
    site.complaints.append(f"dialog {dialog.message}/planted")
    dialog.dismiss()


def ran(site: Site) -> list[str]:
    """What a payload asked for or opened; nothing may be asked of another host either."""
    return [
        one
        for one in site.complaints
        if one.endswith("/planted")
        or (one.startswith("http") and not one.startswith(site.url))
    ]


def test_every_page__markup_in_every_text__stays_text(planted: Site) -> None:
    """S8: 315 payloads, spread over the fields; with FAULTS=full in several rounds."""
    rows = make_rows()
    for start in range(0, len(ALL), either(len(ALL), 63)):
        assert plant(start).used == set(ALL)
        # The audit has recorded what was planted.
        rows["core.auditentry"] = AuditEntry.objects.latest("pk")
        planted.page.context.add_cookies(
            [usage_cookie(planted, rows["billing.apikey"])]
        )
        opened = [found_on(planted, path) for path in (*pages(rows), "/usage")]
        assert [one for one in opened if one[2]] == []
        assert [one for one in opened if one[1] not in (200, 403, 405)] == []
        assert sum(status == 200 for _, status, _ in opened) > 150
        assert ran(planted) == []


@pytest.mark.parametrize("markup", ["<x-planted>", "<b onclick=planted=1>", "<b x-init=planted=1>", "<a href=' javascript:1'>x</a>", "<img src=x onerror=planted=1>"])  # fmt: skip
def test_crawl__markup_on_a_page__is_found(planted: Site, markup: str) -> None:
    page = planted.open("/usage")
    page.evaluate("text => { document.body.innerHTML = text; }", markup)
    assert page.evaluate(FOUND) != []


def test_crawl__script_that_the_policy_stops__is_found(planted: Site) -> None:
    page = planted.open("/usage")
    page.evaluate("""() => {
        const one = document.createElement('script');
        one.textContent = 'planted = 1';
        document.body.append(one);
    }""")
    assert [one[:10] for one in page.evaluate(FOUND)] == ["script-src"]


def test_change_pages__read_by_an_auditor__stay_text(
    planted: Site,
) -> None:
    """Fields that only show have templates of their own."""
    rows = make_rows()
    plant()
    boss = User.objects.get(username="boss")
    User.objects.filter(pk=boss.pk).update(is_superuser=False)
    boss.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    opened = [found_on(planted, change_page(label, row)) for label, row in rows.items()]
    assert [one for one in opened if one[2] or one[1] != 200] == []
    assert ran(planted) == []


def test_messages__about_planted_rows__stay_text(planted: Site) -> None:
    rows = make_rows()
    plant()
    for label in ("auth.group", "billing.team", "billing.tier", "waffle.sample", "llm.route"):  # fmt: skip
        planted.page.goto(planted.url + change_page(label, rows[label]))
        with planted.page.expect_navigation():
            planted.page.click("[name=_save]")
        assert planted.page.evaluate(FOUND) == [], label
    assert ran(planted) == []


def test_query__markup_in_it__stays_text(planted: Site) -> None:
    listing, prompt = reverse("admin:billing_team_changelist"), MAKE["prompts.prompt"]()
    attempt = reverse("admin:llm_prompt_try", args=[prompt.pk])
    for start in (
        f"{listing}?q=",
        f"{listing}?o=",
        f"{attempt}?left=",
        "/admin/search/?s=",
        "/admin/login/?next=",
        "/admin/",
        "/",
    ):
        assert found_on(planted, start + quote(PAYLOADS[0]))[2] == [], start
    assert ran(planted) == []


def test_provider__its_names_and_words__stay_text(planted: Site) -> None:
    with listening() as server:
        provider = make_provider("demo", base_url=server.url)
        make_price("demo", make_route(make_model("m"), provider).upstream_model)
        make_customer("anna")
        server.list(*PAYLOADS)
        page = planted.page
        for button in ("Discover models", "Test connection"):
            page.goto(planted.url + change_page("llm.provider", provider))
            with page.expect_navigation():
                page.click(f"text={button}")
            assert page.evaluate(FOUND) == [], button
            server.status = 400
            server.body = json.dumps({"error": {"message": PAYLOADS[0]}})
        page.goto(planted.url + reverse("admin:llm_playground"))
        page.fill("#id_message", PAYLOADS[0])
        with page.expect_navigation():
            page.click("#playground [type=submit]")
        assert PAYLOADS[1][:20] in page.inner_text("body")
        assert page.evaluate(FOUND) == []
    assert ran(planted) == []


def change_page(label: str, row: Any) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_change", args=[quoted(row.pk)])
