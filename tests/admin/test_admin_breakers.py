"""Circuit breakers: as they stand, forced by operators, and their history."""

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as configured
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm.breaker.board import SCRIPT, redis_key
from llm.breaker.types import Name
from llm.models import BreakerOverride, Provider
from tests.admin.rows import make_event, make_override
from tests.fixtures_billing import make_model, make_provider, make_route, unique

STATES = "/admin/llm/breakeroverride/states/"
ADD = "/admin/llm/breakeroverride/add/"
NOBODY = "redis://127.0.0.1:9/0"


@pytest.fixture
def provider(db: None) -> Provider:
    provider = make_provider(unique("acme"))
    make_route(make_model(), provider, upstream_model="its-model")
    return provider


def form(provider: Provider, **fields: Any) -> dict[str, Any]:
    until = fields.pop("until", timezone.now() + timedelta(hours=2))
    return {
        "provider": provider.pk,
        "upstream_model": "its-model",
        "state": "forced_open",
        "reason": "maintenance there",
        "expires_at_0": f"{until:%Y-%m-%d}",
        "expires_at_1": f"{until:%H:%M:%S}",
        **fields,
    }


def test_states__closed_breaker__shown_with_what_can_be_done(
    operator: Client, provider: Provider
) -> None:
    text = operator.get(STATES).content.decode()
    assert "its-model" in text
    assert "Force open" in text
    assert f"{ADD}?provider={provider.pk}" in text


def test_states__breaker_that_opened__shown_with_its_reason(
    operator: Client, provider: Provider
) -> None:
    key = redis_key(configured.REDIS_PREFIX, Name(provider.pk, "its-model"))
    with redis.from_url(configured.REDIS_URL) as client:
        for _ in range(5):
            client.eval(SCRIPT.source, 1, key, "tell", "failure", 0, 0, 0, 0)
        row = operator.get(STATES).context["rows"][0]["at"]
        client.delete(key)
    assert row.state == "open"
    assert row.retry_at is not None


def test_states__no_routes__says_what_to_do(operator: Client) -> None:
    assert "There are no routes yet" in operator.get(STATES).content.decode()


def test_states__redis_down__says_so_and_shows_overrides(
    operator: Client, provider: Provider, settings: Any
) -> None:
    make_override(provider=provider, reason="a good reason")
    settings.REDIS_URL = NOBODY
    text = operator.get(STATES).content.decode()
    assert "Redis does not answer" in text
    assert "a good reason" in text


def test_states__last_transitions__newest_first(operator: Client) -> None:
    make_event(reason="older", created_at=timezone.now() - timedelta(hours=1))
    make_event(reason="newer")
    events = operator.get(STATES).context["events"]
    assert [one.reason for one in events] == ["newer", "older"]


def test_states__auditor__looks_without_buttons(
    auditor: Client, provider: Provider
) -> None:
    make_override(provider=provider, upstream_model="its-model")
    text = auditor.get(STATES).content.decode()
    assert "its-model" in text
    assert "Force open" not in text
    assert "Back to automatic" not in text


def test_states__no_rights__forbidden(newcomer: Client) -> None:
    assert newcomer.get(STATES).status_code == 403


def test_force__form__is_filled_in_from_the_breaker(
    operator: Client, provider: Provider
) -> None:
    given = {"provider": provider.pk, "upstream_model": "its-model", "state": "forced_closed"}  # fmt: skip
    initial = operator.get(ADD, given).context["adminform"].form.initial
    assert initial["state"] == "forced_closed"
    assert initial["expires_at"] > timezone.now()


def test_force__post__keeps_author_reason_and_end(
    operator: Client, provider: Provider
) -> None:
    answer = operator.post(ADD, form(provider))
    assert (answer.status_code, answer["Location"]) == (302, STATES)
    override = BreakerOverride.objects.get()
    assert override.author is not None
    assert override.author.get_username() == "olga"
    assert LogEntry.objects.get().object_id == str(override.pk)
    text = operator.get(STATES).content.decode()
    assert "forced open" in text
    assert "Force closed" not in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"until": timezone.now() - timedelta(minutes=1)}, "within the next 30 days"),
        ({"until": timezone.now() + timedelta(days=40)}, "within the next 30 days"),
        ({"reason": ""}, "This field is required"),
        ({"state": "open"}, "Select a valid choice"),
    ],
)
def test_force__wrong_field__refused(
    operator: Client, provider: Provider, wrong: dict[str, Any], message: str
) -> None:
    answer = operator.post(ADD, form(provider, **wrong))
    assert message in answer.content.decode()
    assert not BreakerOverride.objects.exists()


def test_force__forced_already__refused(operator: Client, provider: Provider) -> None:
    make_override(provider=provider, upstream_model="its-model")
    answer = operator.post(ADD, form(provider))
    assert "has an override already" in answer.content.decode()


def test_force__after_an_expired_one__works(
    operator: Client, provider: Provider
) -> None:
    past = timezone.now() - timedelta(hours=1)
    make_override(provider=provider, upstream_model="its-model", expires_at=past)
    assert operator.post(ADD, form(provider)).status_code == 302


def test_force__changed_end__goes_back_to_the_states(
    operator: Client, provider: Provider
) -> None:
    override = make_override(provider=provider, upstream_model="its-model")
    page = reverse("admin:llm_breakeroverride_change", args=[override.pk])
    answer = operator.post(page, form(provider, reason="longer"))
    assert answer["Location"] == STATES
    override.refresh_from_db()
    assert override.reason == "longer"


def test_back_to_automatic__confirmed__deletes_the_override(operator: Client) -> None:
    override = make_override()
    page = reverse("admin:llm_breakeroverride_delete", args=[override.pk])
    assert "Are you sure" in operator.get(page).content.decode()
    assert BreakerOverride.objects.exists()
    operator.post(page, {"post": "yes"})
    assert not BreakerOverride.objects.exists()


def test_overrides__list__says_which_breaker(boss: Client) -> None:
    make_override(upstream_model="")
    make_override(upstream_model="just-one")
    text = boss.get(reverse("admin:llm_breakeroverride_changelist")).content.decode()
    assert "every model" in text
    assert "just-one" in text


@pytest.mark.parametrize(("asked", "wanted"), [("1", "now"), ("0", "past")])
def test_overrides__filter__in_force_or_expired(
    boss: Client, asked: str, wanted: str
) -> None:
    make_override(reason="now")
    make_override(reason="past", expires_at=timezone.now() - timedelta(hours=1))
    page = reverse("admin:llm_breakeroverride_changelist")
    found = boss.get(page, {"live": asked}).context["cl"].result_list
    assert [one.reason for one in found] == [wanted]


def test_overrides__auditor_posts__forbidden(
    auditor: Client, provider: Provider
) -> None:
    assert auditor.post(ADD, form(provider)).status_code == 403
