"""Each outcome is found by its id and its customer, and explained as it was injected."""

from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.demo_process import DemoProcess
from tests.live.outcomes import REFUSED, REFUSED_ELSEWHERE, Case, Seed
from tests.live.outcomes_served import SERVED, SERVED_ELSEWHERE
from tests.live.server import LiveServer, live_server
from tests.live.world import World

pytestmark = pytest.mark.live
LIST = "/admin/billing/request/"
ELSEWHERE = {
    "LLM_UNPRICED": "cap",
    "LLM_UNPRICED_USD_PER_MILLION": "10",
    "LLM_IDEMPOTENCY_MAX_BYTES": "1000",
    "LOOKUPS_PER_MINUTE": "1",
}


def name(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", [*REFUSED, *SERVED], ids=name)
def test_outcome__injected__is_found_and_explained_rightly(
    world: World, case: Case
) -> None:
    check(world, world, case)


@pytest.fixture(scope="module")
def elsewhere(
    server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    env = {**server_env, **ELSEWHERE}
    with live_server(tmp_path_factory.mktemp("elsewhere"), env) as running:
        yield running


@pytest.mark.parametrize("case", [*REFUSED_ELSEWHERE, *SERVED_ELSEWHERE], ids=name)
def test_outcome__of_a_server_with_other_settings__is_explained_rightly(
    world: World, elsewhere: LiveServer, demo_provider: DemoProcess, case: Case
) -> None:
    other = World(demo_provider, elsewhere.port, elsewhere.log_path)
    try:
        check(other, world, case)
    finally:
        other.close()


def check(sown_in: World, world: World, case: Case) -> None:
    """Sow the case in one server, and look for it at the server of `world`."""
    found = case.sow(sown_in)
    record = look_up(world, found)
    check_record(record, case, found)
    world.db(check_admin, case, found)


def look_up(world: World, found: Seed) -> dict[str, Any]:
    """The record as the key holder gets it, which nobody else does."""
    path = f"/v1/requests/{found.id}"

    def ask() -> dict[str, Any] | None:
        answer = world.request(path, key=found.key)
        known = answer.json if answer.status == 200 else {}
        return known if known.get("outcome") not in (None, "in_progress") else None

    record: dict[str, Any] = world.eventually(ask)
    _, key = world.new_customer()
    assert world.request(path, key=key).status == 404
    return record


def check_record(record: dict[str, Any], case: Case, found: Seed) -> None:
    assert (record["id"], record["outcome"]) == (found.id, case.outcome)
    words = case.words.format(**found.names) or found.message
    assert words
    assert words in record["explanation"]
    error = record.get("error") or {}
    assert error.get("code", "") == case.code
    if case.outcome != "refused":
        return
    assert record["step"] == case.step
    assert error["message"] == found.message
    refused = [(one["scope"], one["name"]) for one in record["limits"] if one["refused"]]  # fmt: skip
    assert refused == ([case.limit] if case.limit else [])


def check_admin(case: Case, found: Seed) -> None:
    """Both lists have the request; its page says what was injected."""
    client = Client()
    user, _ = User.objects.get_or_create(username="boss", is_staff=True, is_superuser=True)  # fmt: skip
    client.force_login(user)
    for query in ({"q": found.id}, {"customer_id": str(found.customer.pk)}):
        rows = client.get(LIST, query).context["cl"].result_list
        [row] = [one for one in rows if str(one.pk) == found.id]
        assert row.refused is (case.outcome == "refused")
    url = reverse("admin:billing_request_change", args=[found.id])
    page = unescape(client.get(url, follow=True).content.decode())
    for words in case.console or (case.words,):
        assert words.format(**found.names) in page, words
