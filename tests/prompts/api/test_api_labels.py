"""Labels over REST: moved only from where they are believed to be; and rollback."""

import pytest

from prompts import services
from prompts.models import PromptEvent, ProtectedLabel
from tests.prompts.api.conftest import person
from tests.prompts.api.rows import ADA, make_prompt

pytestmark = pytest.mark.django_db
LABELS = "/api/prompts/a/labels"


def move(client, name="production", **body):
    return client.put(f"{LABELS}/{name}", body, format="json")


def test_move__from_where_it_is__points_there(publisher):
    make_prompt("x", "y", key="a", live=1)
    response = move(publisher, version=2, expected_version=1, reason="Better.")
    assert response.status_code == 200
    assert (response.json()["name"], response.json()["version"]) == ("production", 2)
    event = PromptEvent.objects.first()
    assert (event.from_version, event.to_version, event.reason) == (1, 2, "Better.")


def test_move__of_a_new_label__expects_none(publisher):
    make_prompt("x", key="a")
    assert move(publisher, "staging", version=1, expected_version=None).status_code == 200  # fmt: skip
    assert publisher.get(f"{LABELS}/staging").json()["version"] == 1
    assert [one["name"] for one in publisher.get(LABELS).json()["data"]] == ["staging"]


def test_move__after_somebody_else__is_409_that_says_who_won(publisher):
    prompt = make_prompt("x", "y", "z", key="a", live=1)
    services.move_label(
        prompt, "production", 3, expected=1, actor=ADA, reason="Urgent."
    )
    response = move(publisher, version=2, expected_version=1)
    assert response.status_code == 409
    error = response.json()["error"]
    assert (error["moved_by"], error["current_version"]) == ("ada", 3)
    assert error["reason"] == "Urgent."
    assert publisher.get(f"{LABELS}/production").json()["version"] == 3


def test_move__without_what_is_expected__is_400(publisher):
    make_prompt("x", key="a")
    response = move(publisher, version=1)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "expected_version"


@pytest.mark.parametrize(
    ("name", "status"),
    [("latest", 400), ("Production", 400), ("a" * 41, 400), ("%00", 400)],
)
def test_move__of_what_is_no_label__is_refused(publisher, name, status):
    make_prompt("x", key="a")
    assert move(publisher, name, version=1, expected_version=None).status_code == status


def test_move__to_no_version__is_404(publisher):
    make_prompt("x", key="a")
    assert move(publisher, version=5, expected_version=None).status_code == 404


def test_move__by_a_writer__is_403(writer):
    make_prompt("x", key="a")
    assert move(writer, version=1, expected_version=None).status_code == 403


def test_move__of_a_protected_label__is_for_those_it_names(publisher):
    make_prompt("x", key="a")
    ProtectedLabel.objects.update_or_create(
        name="production", defaults={"keys_may_move": False}
    )
    response = move(publisher, version=1, expected_version=None)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "label_protected"
    boss = person(is_superuser=True)
    assert move(boss, version=1, expected_version=None).status_code == 200
    assert PromptEvent.objects.first().actor == boss.user


def test_remove__of_a_label__is_in_the_audit(publisher):
    prompt = make_prompt("x", key="a")
    services.move_label(prompt, "staging", 1, expected=None, actor=ADA)
    assert publisher.delete(f"{LABELS}/staging", {"expected_version": 9}, format="json").status_code == 409  # fmt: skip
    response = publisher.delete(
        f"{LABELS}/staging", {"reason": "Unused"}, format="json"
    )
    assert response.status_code == 204
    assert publisher.get(f"{LABELS}/staging").status_code == 404
    assert PromptEvent.objects.first().reason == "Unused"
    # And without a body.
    assert publisher.delete(f"{LABELS}/staging").status_code == 404


def rollback(client, **body):
    return client.post("/api/prompts/a/rollback", body, format="json")


def test_rollback__with_a_reason__is_to_the_version_before(publisher):
    prompt = make_prompt("x", "y", key="a", live=1)
    services.move_label(prompt, "production", 2, expected=1, actor=ADA)
    response = rollback(publisher, reason="Rude answers", expected_version=2)
    assert response.status_code == 200
    assert response.json()["production"] == 1
    event = PromptEvent.objects.first()
    assert (event.action, event.reason) == ("rolled_back", "Rude answers")


def test_rollback__to_a_version__is_to_that_one(publisher):
    prompt = make_prompt("x", "y", "z", key="a", live=1)
    services.move_label(prompt, "production", 3, expected=1, actor=ADA)
    assert rollback(publisher, reason="r", to=2).json()["production"] == 2
    assert rollback(publisher, reason="r", to=8).status_code == 404


def test_rollback__without_a_reason__is_400(publisher):
    make_prompt("x", key="a", live=1)
    for body in ({}, {"reason": "  "}):
        response = rollback(publisher, **body)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "reason"


def test_rollback__when_another_version_is_live__is_409(publisher):
    make_prompt("x", "y", key="a", live=1)
    assert rollback(publisher, reason="r", expected_version=2).status_code == 409


def test_rollback__with_nothing_before__is_400(publisher):
    make_prompt("x", key="a", live=1)
    assert rollback(publisher, reason="r").status_code == 400
