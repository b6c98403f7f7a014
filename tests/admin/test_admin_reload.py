"""Every form of the admin, sent as it stands: to reload what it shows asks nobody."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from llm.replies.completion import Completion
from prompts.models import Prompt
from tests.admin.crawl import paths
from tests.admin.page_forms import SentForm, forms_of
from tests.admin.prompt_rows import make_version

pytestmark = pytest.mark.django_db
DONE = Completion(
    "Yes.", Decimal(1), False, "acme", "m", "m", 1, 1, "0" * 32, 1, None, 1, 1
)

# The one ends the session, the other wants a transaction of its own.
NOT_SENT = ("/logout/", "/ledgercheck/health/")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have gone out to a provider."""
    found: list[str] = []

    def complete(**fields: Any) -> Completion:
        found.append("complete")
        return DONE

    def discover(provider: Any) -> dict[str, int | None]:
        found.append("discover")
        return {"model-a": None}

    monkeypatch.setattr("llm.gateway.complete_sync", complete)
    monkeypatch.setattr("llm.providers.discovery.discover", discover)
    return found


def _forms(client: Client) -> list[SentForm]:
    forms: dict[tuple[str, str], SentForm] = {}
    pages = paths()
    make_version(Prompt.objects.latest("pk"), "Say hello.", model="some-model")
    for path in pages:
        answer = client.get(path)
        page = answer.status_code == 200 and not answer.streaming
        if page and b"<form" in answer.content:
            for form in forms_of(path, answer):
                forms[form.url, str(sorted(form.fields))] = form
    return [one for one in forms.values() if not one.url.endswith(NOT_SENT)]


def _reload(client: Client, form: SentForm, answer: Any) -> None:
    if answer.status_code == 302:
        client.get(answer["Location"])
    else:
        client.post(form.url, form.fields)


def test_every_form__sent_and_reloaded__asks_nobody_again(
    boss: Client, asked: list[str]
) -> None:
    session = boss.cookies["sessionid"].value
    times: dict[str, list[int]] = {}
    for form in _forms(boss):
        asked.clear()
        with transaction.atomic():
            answer = boss.post(form.url, form.fields)
            if first := len(asked):
                _reload(boss, form, answer)
                times[form.url.split("/")[-2]] = [first, len(asked)]
            transaction.set_rollback(True)
        boss.cookies["sessionid"] = session
    # Each that asks was found, and is asked for nothing at the reload.
    once = [1, 1]
    assert times == {"playground": once, "try": once, "discover": once, "test": once}
