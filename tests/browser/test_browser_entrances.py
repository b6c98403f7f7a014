"""S8: what comes in by REST, by files and by forms stays text on the pages about it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from billing.models import Team
from flags.models import Flag
from prompts.models import Prompt
from tests.browser.conftest import Site
from tests.browser.test_browser_markup import FOUND, LISTEN, ran
from tests.fixtures_billing import make_provider, make_tier
from tests.flags.rows import make_flag
from tests.prompts.api.conftest import key_client
from tests.prompts.rows import make_prompt
from tests.security.payloads import PAYLOADS

pytestmark = pytest.mark.browser
MARK = "planted-mark"
# As long as descriptions may be.
TEXTS = ["".join(some) for some in zip(*[iter(PAYLOADS)] * 5, strict=False)]


@pytest.fixture
def watched(site: Site) -> Iterator[Site]:
    site.page.context.on("request", lambda one: site.complaints.append(one.url))
    site.page.context.add_init_script(LISTEN)
    yield site
    assert ran(site) == []


def check(site: Site, *paths: str) -> None:
    for path in paths:
        page = site.open(path)
        assert page.evaluate(FOUND) == [], path


def test_rest__payloads_in_every_text__stay_text(watched: Site) -> None:
    client = key_client("prompts:read", "prompts:write", "flags:read", "flags:write")
    for number, text in enumerate(TEXTS):
        prompt = {
            "key": f"p{number}",
            "description": text,
            "tags": [PAYLOADS[number][:60]],
        }
        assert client.post("/api/prompts", prompt, format="json").status_code in (
            201,
            400,
        )
        flag = {"name": f"f{number}", "note": text}
        assert client.post("/api/flags", flag, format="json").status_code in (201, 400)
    assert Prompt.objects.count() > 40
    assert Flag.objects.count() > 40
    check(
        watched,
        reverse("admin:prompts_prompt_changelist"),
        reverse("admin:flags_flag_changelist"),
        reverse("admin:prompts_promptevent_changelist"),
        reverse("admin:flags_flagevent_changelist"),
        reverse("admin:prompts_prompt_change", args=[Prompt.objects.latest("pk").pk]),
        reverse("admin:flags_flag_change", args=[Flag.objects.latest("pk").pk]),
    )


def test_files__payloads_in_every_text__stay_text(
    watched: Site, tmp_path: Path
) -> None:
    tier, provider = make_tier(name=MARK), make_provider(name=MARK)
    prompt, flag = make_prompt("x", description=MARK), make_flag(note=MARK)
    call_command("export_config", str(tmp_path))
    changed = 0
    for path in tmp_path.rglob("*.yaml"):
        written = path.read_text()
        changed += MARK in written
        path.write_text(written.replace(MARK, json.dumps(PAYLOADS[22])))
    assert changed > 2
    call_command("import_config", str(tmp_path))
    tier.refresh_from_db()
    assert tier.name == PAYLOADS[22]
    check(
        watched,
        *(
            reverse(f"admin:{name}_change", args=[row.pk])
            for name, row in (
                ("billing_tier", tier),
                ("llm_provider", provider),
                ("prompts_prompt", prompt),
                ("flags_flag", flag),
            )
        ),
    )


def test_forms__payloads_in_a_name__stay_text(watched: Site) -> None:
    client = Client()
    client.force_login(User.objects.get(username="boss"))
    url = reverse("admin:billing_team_add")
    for number, text in enumerate(PAYLOADS):
        client.post(url, {"key": f"t{number}", "name": text})
    assert Team.objects.count() > 300
    check(
        watched,
        *(f"{reverse('admin:billing_team_changelist')}?p={page}" for page in (1, 2, 3)),
    )
    # The messages of the last saves are on the first page.
