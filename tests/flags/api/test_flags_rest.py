"""REST for managing flags: by key and scope, audited, with clear refusals."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from flags.models import Flag, FlagEvent, ScheduledChange
from tests.fixtures_billing import unique
from tests.prompts.api.conftest import Caller, key_client, person

pytestmark = pytest.mark.django_db
URL = "/api/flags"


@pytest.fixture
def writer() -> Caller:
    return key_client("flags:read", "flags:write")


def made(client: APIClient, **fields: Any) -> dict[str, Any]:
    body = {"name": unique("flag"), **fields}
    answer = client.post(URL, body, format="json")
    assert answer.status_code == 201, answer.json()
    found: dict[str, Any] = answer.json()
    return found


def post(client: APIClient, name: str, verb: str, **body: Any) -> Any:
    return client.post(f"{URL}/{name}/{verb}", body, format="json")


def test_create__and_read_again__is_what_was_sent(writer: Caller) -> None:
    flag = made(
        writer,
        kind="string",
        variants=[
            {"name": "a", "value": "A", "weight": 2500},
            {"name": "b", "value": "B", "weight": 7500},
        ],
        rules=[
            {
                "name": "Nordic",
                "conditions": [
                    {"attribute": "country", "operator": "in", "value": ["SE", "NO"]}
                ],
                "variant": "a",
            }
        ],
        tags=["ui"],
        reason="A new look.",
    )
    again = writer.get(f"{URL}/{flag['name']}").json()
    assert again == flag
    assert [one["weight"] for one in flag["settings"]["variants"]] == [2500, 7500]
    event = FlagEvent.objects.get(flag_name=flag["name"])
    assert (event.reason, event.actor_name) == (
        "A new look.",
        f"key vc-{writer.key.prefix}-…",
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": "with blank"}, "name"),
        ({"name": "f", "kind": "no"}, "kind"),
        ({"name": "f", "percent": 101}, "percent"),
        ({"name": "f", "nonsense": 1}, "nonsense"),
        ({"name": "f", "owner": "nobody-at-all"}, "owner"),
        ({"name": "f", "rules": [{"conditions": [{"attribute": "a"}]}]}, "rules"),
    ],
)
def test_create__rubbish__names_the_field(
    writer: Caller, body: dict[str, Any], param: str
) -> None:
    answer = writer.post(URL, body, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)
    assert not Flag.objects.filter(name=body.get("name", "")).exists()


def test_patch__more_than_a_flag_may_hold__names_field_and_limit(
    writer: Caller,
) -> None:
    flag = made(writer)
    answer = writer.patch(
        f"{URL}/{flag['name']}",
        {"rules": [{"conditions": []}] * 101},
        format="json",
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "rules")
    assert error["message"] == "'rules': At most 100 rules; these are 101."


def test_create__same_name_again__is_refused(writer: Caller) -> None:
    flag = made(writer)
    answer = writer.post(URL, {"name": flag["name"]}, format="json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")


def test_list__filters_and_pages__show_each_once(writer: Caller) -> None:
    mark = unique("tag")
    names = sorted(made(writer, tags=[mark])["name"] for _ in range(5))
    made(writer)
    found, cursor = [], ""
    for _ in range(3):
        query = {"tag": mark, "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = writer.get(URL, query).json()
        found += [one["name"] for one in page["data"]]
        cursor = page["next_cursor"]
    assert (found, cursor) == (names, None)
    one = writer.get(URL, {"search": names[0]}).json()["data"]
    assert [row["name"] for row in one] == names[:1]
    assert writer.get(URL, {"nonsense": 1}).status_code == 400


def test_patch__on_an_old_revision__is_a_conflict_that_says_who(
    writer: Caller,
) -> None:
    flag = made(writer)
    url = f"{URL}/{flag['name']}"
    seen = flag["revision"]
    first = {"percent": 10, "expected_revision": seen}
    assert writer.patch(url, first, format="json").json()["state"] == "on for 10 %"
    second = writer.patch(url, {**first, "percent": 90}, format="json")
    assert second.status_code == 409
    error = second.json()["error"]
    assert error["changed_by"].startswith("key vc-")
    assert Flag.objects.get(name=flag["name"]).percent == 10


def test_verbs__each__changes_the_state_and_is_recorded(writer: Caller) -> None:
    name = made(writer, percent=50)["name"]
    states = [
        post(writer, name, verb, reason=f"Because {verb}.").json()["state"]
        for verb in ("disable", "enable", "kill", "revive", "archive", "restore")
    ]
    assert states == [
        "off",
        "on for 50 %",
        "killed",
        "on for 50 %",
        "archived",
        "on for 50 %",
    ]
    history = writer.get(f"{URL}/{name}/history").json()["data"]
    assert [one["action"] for one in history][::-1][1:] == [
        "disabled",
        "enabled",
        "killed",
        "revived",
        "archived",
        "restored",
    ]
    assert history[0]["reason"] == "Because restore."


def test_revert__to_an_event__is_as_it_was_then(writer: Caller) -> None:
    name = made(writer, percent=50)["name"]
    event = FlagEvent.objects.get(flag_name=name)
    writer.patch(f"{URL}/{name}", {"percent": 80, "note": "x"}, format="json")
    found = post(writer, name, "revert", event=event.pk).json()
    assert (found["state"], found["settings"]["note"]) == ("on for 50 %", "")
    assert post(writer, name, "revert", event=0).status_code == 404


def test_schedule__made_listed_and_cancelled__is_audited(writer: Caller) -> None:
    name = made(writer, percent=0)["name"]
    at = (timezone.now() + dt.timedelta(hours=1)).isoformat()
    change = {"kind": "set_percent", "at": at, "payload": {"percent": 25}}
    made_one = post(writer, name, "schedule", **change)
    assert made_one.status_code == 201
    url = f"{URL}/{name}/schedule/{made_one.json()['id']}"
    assert writer.delete(url).status_code == 204
    assert writer.delete(url).status_code == 409
    assert writer.delete(f"{URL}/{name}/schedule/0").status_code == 404
    [row] = writer.get(f"{URL}/{name}/schedule").json()["data"]
    assert row["state"] == "cancelled"
    late = {**change, "at": "2020-01-01T00:00:00Z"}
    answer = post(writer, name, "schedule", **late)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "at")


def test_ramp__five_points_a_day__makes_each_step(writer: Caller) -> None:
    name = made(writer, percent=0)["name"]
    start = (timezone.now() + dt.timedelta(hours=1)).isoformat()
    body = {"to": 20, "step": 5, "every_minutes": 1440, "start": start}
    answer = post(writer, name, "ramp", **body)
    assert [row["payload"]["percent"] for row in answer.json()] == [
        "5.00",
        "10.00",
        "15.00",
        "20.00",
    ]
    assert ScheduledChange.objects.filter(flag__name=name).count() == 4


def test_evaluate__explains__which_rule_and_bucket(writer: Caller) -> None:
    rule = {
        "name": "Nordic",
        "conditions": [{"attribute": "country", "operator": "equals", "value": "SE"}],
        "variant": "on",
    }
    name = made(writer, percent=50, rules=[rule])["name"]
    swede = {"targetingKey": "ann", "country": "SE"}
    found = post(writer, name, "evaluate", context=swede).json()
    assert (found["value"], found["rule"]) == (True, "Nordic")
    other = post(writer, name, "evaluate", context={"targetingKey": "ann"}).json()
    assert 0 <= other["bucket"] < 10_000
    assert other["value"] is (other["bucket"] < 5000)
    assert str(other["bucket"]) in other["explanation"]


def test_delete__flag__is_gone_and_its_history_stays(writer: Caller) -> None:
    name = made(writer)["name"]
    assert writer.delete(f"{URL}/{name}").status_code == 204
    assert writer.get(f"{URL}/{name}").status_code == 404
    assert FlagEvent.objects.filter(flag_name=name, action="deleted").exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", ""),
        ("patch", "/f"),
        ("delete", "/f"),
        ("post", "/f/kill"),
        ("post", "/f/enable"),
        ("post", "/f/ramp"),
        ("post", "/f/schedule"),
        ("delete", "/f/schedule/1"),
        ("post", "/f/revert"),
    ],
)
def test_access__reader__may_not_change(method: str, path: str) -> None:
    client = key_client("flags:read")
    Flag.objects.create(name="f")
    answer = getattr(client, method)(f"{URL}{path}", {}, format="json")
    assert answer.status_code == 403
    assert "flags:write" in answer.json()["error"]["message"]


def test_access__nobody_and_foreign_scopes__are_refused() -> None:
    assert APIClient().get(URL).status_code == 401
    assert key_client("flags:evaluate", "llm").get(URL).status_code == 403


def test_access__person__needs_the_right_to_kill() -> None:
    Flag.objects.create(name="f")
    editor = person("flags.view_flag", "flags.change_flag")
    assert post(editor, "f", "disable").status_code == 200
    assert post(editor, "f", "kill").status_code == 403
    later = (timezone.now() + dt.timedelta(hours=1)).isoformat()
    assert post(editor, "f", "schedule", kind="kill", at=later).status_code == 403
    assert post(editor, "f", "schedule", kind="enable", at=later).status_code == 201
    killer = person("flags.kill_flag")
    assert post(killer, "f", "kill", reason="Fire.").json()["killed_reason"] == "Fire."
