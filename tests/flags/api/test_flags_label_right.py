"""A flag that leads callers to another label: only for those who may move labels."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from flags import services
from flags.actor import COMMAND, FlagActor, user_actor
from flags.documents import yaml_files
from flags.models import ChangeState, Flag
from prompts.models import ProtectedLabel
from tests.fixtures_billing import unique
from tests.flags.rows import ADA
from tests.prompts.api.conftest import Caller, key_client, person
from valuecanvas.core.errors import NotPermitted

pytestmark = pytest.mark.django_db
URL = "/api/flags"
FLAGS = ("flags:read", "flags:write")
RIGHTS = ("flags.add_flag", "flags.change_flag", "flags.kill_flag", "flags.view_flag")
LEADING = [
    {"name": "a", "value": "A", "weight": 10_000, "effect": {"prompt_label": "latest"}},
    {"name": "b", "value": "B", "weight": 0},
]
PLAIN = [{**one, "effect": {}} for one in LEADING]


def leading(**fields: Any) -> Flag:
    """A flag that leads everybody, made by one who may."""
    wanted = {
        "name": unique("flag"), "kind": "string", "in_gateway": True,
        "variants": LEADING, **fields,
    }  # fmt: skip
    return services.create_flag(wanted, actor=ADA)


@pytest.fixture
def writer() -> Caller:
    return key_client(*FLAGS)


def create(client: Caller, **fields: Any) -> Any:
    body = {"name": unique("flag"), "kind": "string", "in_gateway": True, **fields}
    return client.post(URL, body, format="json")


def test_create__key_without_publish__is_403_and_makes_nothing(writer: Caller) -> None:
    answer = create(writer, variants=LEADING)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_scope")  # fmt: skip
    assert "prompts:publish" in answer.json()["error"]["message"]
    assert not Flag.objects.filter(kind="string").exists()
    assert create(writer, variants=PLAIN).status_code == 201
    assert create(writer, variants=LEADING, in_gateway=False).status_code == 201


def test_create__key_that_may_publish__is_made() -> None:
    client = key_client(*FLAGS, "prompts:publish")
    assert create(client, variants=LEADING).status_code == 201


@pytest.mark.parametrize("keys_may_move", [False, True])
def test_create__production_protected__is_for_keys_that_may_move_it(
    keys_may_move: bool,
) -> None:
    ProtectedLabel.objects.create(name="production", keys_may_move=keys_may_move)
    client = key_client(*FLAGS, "prompts:publish")
    answer = create(client, variants=LEADING)
    assert answer.status_code == (201 if keys_may_move else 403)
    if not keys_may_move:
        assert answer.json()["error"]["code"] == "label_protected"


@pytest.mark.parametrize(
    ("made", "changes"),
    [
        ({"variants": PLAIN}, {"variants": LEADING}),
        ({"in_gateway": False}, {"in_gateway": True}),
        ({}, {"percent": 50}),
        ({}, {"user_ids": ["ann"]}),
        ({"enabled": False}, {"enabled": True}),
        ({}, {"default_variant": "b"}),
    ],
)
def test_edit__more_callers_or_others_led__needs_the_right(
    writer: Caller, made: dict[str, Any], changes: dict[str, Any]
) -> None:
    flag = leading(**made)
    answer = writer.patch(f"{URL}/{flag.name}", changes, format="json")
    assert answer.status_code == 403
    flag.refresh_from_db()
    assert flag.revision == 1
    publisher = key_client(*FLAGS, "prompts:publish")
    again = publisher.patch(f"{URL}/{flag.name}", changes, format="json")
    assert again.status_code == 200, again.json()


@pytest.mark.parametrize(
    "changes",
    [{"note": "Why."}, {"tags": ["ui"]}, {"enabled": False}, {"variants": PLAIN}],
)
def test_edit__what_leads_nobody__needs_no_more(
    writer: Caller, changes: dict[str, Any]
) -> None:
    flag = leading()
    answer = writer.patch(f"{URL}/{flag.name}", changes, format="json")
    assert answer.status_code == 200, answer.json()


def test_verbs__off_is_free__on_again_needs_the_right(writer: Caller) -> None:
    flag = leading()

    def post(verb: str, **body: Any) -> int:
        said = {"reason": "A test.", **body}
        url = f"{URL}/{flag.name}/{verb}"
        return int(writer.post(url, said, format="json").status_code)

    assert post("kill") == 200
    assert post("revive") == 403
    services.revive(flag, actor=ADA)
    assert post("disable") == 200
    assert post("enable") == 403
    assert post("archive") == 200
    assert post("restore") == 403


def test_schedule__by_one_who_may_not__is_refused_unless_it_ends_it() -> None:
    flag, at = leading(), timezone.now() + dt.timedelta(hours=1)
    eve = FlagActor("key vc-eve", scopes=frozenset(FLAGS))
    with pytest.raises(NotPermitted):
        services.schedule(flag, "set_percent", at=at, payload={"percent": 1}, actor=eve)
    services.schedule(flag, "kill", at=at, actor=eve)


def test_schedule__of_one_who_might__is_applied_though_rights_are_gone() -> None:
    flag, now = leading(), timezone.now()
    user = User.objects.create_user(unique("user"), is_staff=True)
    right = Permission.objects.get(codename="publish_prompt")
    user.user_permissions.add(right)
    planner = user_actor(User.objects.get(pk=user.pk))
    at = now + dt.timedelta(hours=1)
    services.schedule(flag, "set_percent", at=at, payload={"percent": 7}, actor=planner)
    user.user_permissions.remove(right)
    assert services.apply_due(at) == 1
    assert flag.schedule.get().state == ChangeState.APPLIED


def test_people__right_and_group_of_the_label__both_count() -> None:
    group = Group.objects.create(name=unique("group"))
    rule = ProtectedLabel.objects.create(name="production")
    rule.groups.add(group)
    without, outside = person(*RIGHTS), person(*RIGHTS, "prompts.publish_prompt")
    inside = person(*RIGHTS, "prompts.publish_prompt")
    inside.user.groups.add(group)
    found = [create(one, variants=LEADING) for one in (without, outside, inside)]
    assert [one.status_code for one in found] == [403, 403, 201]
    told = [one.json()["error"]["message"] for one in found[:2]]
    assert "prompts.publish_prompt" in told[0]
    assert "protected" in told[1]


def test_unknown_author__nobody_to_ask__is_refused() -> None:
    with pytest.raises(NotPermitted):
        services.set_percent(leading(), 5, actor=FlagActor("somebody"))


def test_import__from_the_command_line__may() -> None:
    rows = [{"name": "f", "kind": "string", "in_gateway": True, "variants": LEADING}]
    assert yaml_files.import_flags(rows, actor=COMMAND).created == 1
    with pytest.raises(NotPermitted):
        yaml_files.import_flags([{**rows[0], "percent": 1}], actor=FlagActor("x"))


def test_admin__page_and_switch__say_what_is_missing() -> None:
    flag = leading(enabled=False)
    caller = person(*RIGHTS)
    client = Client()
    client.force_login(caller.user)
    page = reverse("admin:flags_flag_change", args=[flag.pk])
    body = {"section": "rollout", "percent": "5", "expected": 1, "reason": "A test."}
    answer = client.post(page, body)
    assert answer.status_code == 422
    assert "prompts.publish_prompt" in answer.content.decode()
    enable = reverse("admin:flags_flag_enable", args=[flag.pk])
    answer = client.post(enable, {"reason": "A test.", "expected": 1})
    assert "prompts.publish_prompt" in answer.content.decode()
    flag.refresh_from_db()
    assert (flag.revision, flag.enabled) == (1, False)
