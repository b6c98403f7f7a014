"""Labels: compare-and-set, protection, rollback as a stack, the audit of it all."""

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from prompts import services
from prompts.models import Label, ProtectedLabel
from prompts.models.event import PromptAction
from prompts.services import GATEWAY, PromptActor
from prompts.services.audit import record
from tests.prompts.rows import (
    ANN,
    BOB,
    events,
    make_prompt,
    make_user,
    move,
    pointed_at,
    told,
)
from valuecanvas.core.db import epoch
from valuecanvas.core.errors import Conflict, NotPermitted

pytestmark = pytest.mark.django_db


def back(prompt, **asked) -> int | None:
    services.rollback(prompt, actor=asked.pop("actor", BOB), reason="Bad", **asked)
    return pointed_at(prompt)


# -- move -----------------------------------------------------------------------------


def test_move__a_label__points_there_with_who_when_from_to_and_why():
    prompt = make_prompt("one", "two", production=1)

    services.move_label(prompt, "production", 2, expected=1, actor=BOB, reason="Better")

    event = events(prompt)[-1]
    assert pointed_at(prompt) == 2
    assert (event.action, event.label, event.actor_name) == (
        "moved",
        "production",
        "bob",
    )
    assert (event.from_version, event.to_version, event.reason) == (1, 2, "Better")


def test_move__by_a_version_row__is_the_same():
    prompt = make_prompt("one")

    label = services.move_label(
        prompt, "staging", prompt.versions.get(), expected=None, actor=ANN
    )

    assert (label.name, label.version.number) == ("staging", 1)


@pytest.mark.parametrize("expected", [None, 2, 9])
def test_move__another_than_expected__is_a_conflict_that_tells_who(expected):
    prompt = make_prompt("one", "two", "three", production=1)
    before = len(events(prompt))

    with pytest.raises(Conflict) as caught:
        services.move_label(prompt, "production", 3, expected=expected, actor=BOB)

    told_of = caught.value.extra
    assert caught.value.code == "label_conflict"
    assert (told_of["current_version"], told_of["moved_by"]) == (1, "ann")
    assert told_of["moved_at"] == events(prompt)[-1].at.isoformat()
    assert caught.value.message == (
        "The label 'production' points at version 1 now: ann moved it."
    )
    assert (pointed_at(prompt), len(events(prompt))) == (1, before)


def test_move__expecting_one_where_there_is_none__is_a_conflict():
    prompt = make_prompt("one")

    with pytest.raises(Conflict, match="does not exist now") as caught:
        services.move_label(prompt, "production", 1, expected=1, actor=ANN)

    assert caught.value.extra["moved_by"] is None


def test_move__to_where_it_is__changes_nothing():
    prompt = make_prompt("one", production=1)
    before = epoch.current()

    move(prompt, 1)

    assert epoch.current() == before


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("latest", "is always the newest"),
        ("Production", "small letters"),
        ("12", "not only digits"),
        ("a b", "small letters"),
        ("", "small letters"),
        ("x" * 41, "40"),
    ],
)
def test_move__a_bad_name__is_refused(name, why):
    with pytest.raises(ValidationError) as caught:
        move(make_prompt("one"), 1, name)

    assert why in caught.value.message_dict["label"][0]


def test_move__to_a_version_of_another_prompt__is_refused():
    other = make_prompt("a", "b").versions.get(number=2)
    prompt = make_prompt("one")

    with pytest.raises(ValidationError) as caught:
        services.move_label(prompt, "x", other, expected=None, actor=ANN)

    assert caught.value.message_dict == {
        "version": [f"'{prompt.key}' has no version 2."]
    }


def test_move__moves_the_epoch__under_the_prompts_key():
    prompt = make_prompt("one")
    before = epoch.current()

    move(prompt, 1)

    _, changes = epoch.changes_since(before)
    assert {(one.kind, one.key) for one in changes} == {("prompt", str(prompt.pk))}


def test_label__twice_in_a_prompt__is_refused_by_the_database():
    prompt = make_prompt("one", production=1)
    row = prompt.labels.get()

    with pytest.raises(IntegrityError), transaction.atomic():
        Label.objects.create(prompt=prompt, name="production", version=row.version)


# -- protection -----------------------------------------------------------------------


def protect(name: str = "production", *groups: str, keys: bool = True) -> None:
    rule = ProtectedLabel.objects.create(name=name, keys_may_move=keys)
    rule.groups.set(Group.objects.get_or_create(name=one)[0] for one in groups)


def test_may_move__without_a_rule__everybody_may():
    assert services.may_move(ANN, "production")


def test_may_move__with_a_rule__its_groups_and_superusers_may():
    protect("production", "Publishers", "Chiefs")
    member = PromptActor.from_user(make_user("", "Others", "Publishers"))

    assert services.may_move(member, "production")
    assert services.may_move(
        PromptActor.from_user(make_user("", is_superuser=True)), "production"
    )
    assert services.may_move(GATEWAY, "production")
    assert not services.may_move(
        PromptActor.from_user(make_user("", "Others")), "production"
    )
    assert services.may_move(PromptActor.from_user(make_user("", "Others")), "staging")


@pytest.mark.parametrize("allowed", [True, False])
def test_may_move__a_key__as_the_rule_says(allowed):
    protect("production", keys=allowed)

    assert services.may_move(PromptActor.from_key("abc"), "production") is allowed


def test_protected__moves_rollbacks_and_removals__are_refused():
    prompt = make_prompt("one", "two", production=1)
    protect("production")
    before = told(prompt)

    with pytest.raises(NotPermitted, match="'production' is protected: ann"):
        move(prompt, 2)
    with pytest.raises(NotPermitted):
        back(prompt, to=2)
    with pytest.raises(NotPermitted):
        services.remove_label(prompt, "production", actor=ANN)

    assert told(prompt) == before


# -- roll back ------------------------------------------------------------------------


def test_rollback__once__goes_to_what_was_live_before():
    prompt = make_prompt("one", "two", "three", production=1)
    move(prompt, 3)

    assert services.rollback_target(prompt) == 1
    assert back(prompt) == 1

    event = events(prompt)[-1]
    assert (event.action, event.from_version, event.to_version) == ("rolled_back", 3, 1)
    assert (event.actor_name, event.reason) == ("bob", "Bad")


def test_rollback__again_and_again__never_goes_forward():
    prompt = make_prompt("1", "2", "3", "4", production=1)
    move(prompt, 2)
    move(prompt, 4)

    assert back(prompt) == 2
    assert back(prompt) == 1
    assert services.rollback_target(prompt) is None
    with pytest.raises(ValidationError, match="no earlier version"):
        back(prompt)
    move(prompt, 3)
    assert back(prompt) == 1


def test_rollback__to_a_version_that_was_never_live__forgets_what_it_left():
    prompt = make_prompt("1", "2", "3", production=1)
    move(prompt, 3)

    assert back(prompt, to=2) == 2
    assert services.rollback_target(prompt) == 1


def test_rollback__after_moves_back_and_forth__goes_to_the_one_before():
    prompt = make_prompt("1", "2", production=1)
    move(prompt, 2)
    move(prompt, 1)

    assert services.rollback_target(prompt) == 2


def test_rollback__the_label_was_removed__brings_it_back():
    prompt = make_prompt("1", "2", production=2)
    services.remove_label(prompt, "production", actor=ANN)

    assert back(prompt) == 2


def test_rollback__label_was_moved_past_the_services__still_finds_an_earlier_one():
    prompt = make_prompt("1", "2", "3", production=1)
    Label.objects.update(version=prompt.versions.get(number=3))

    assert back(prompt) == 1


def test_rollback__without_a_reason__is_refused():
    prompt = make_prompt("1", "2", production=1)
    move(prompt, 2)

    with pytest.raises(ValidationError) as caught:
        services.rollback(prompt, actor=ANN, reason="  ")

    assert list(caught.value.message_dict) == ["reason"]


def test_rollback__another_than_expected__is_a_conflict():
    prompt = make_prompt("1", "2", production=1)
    move(prompt, 2)

    with pytest.raises(Conflict, match="points at version 2 now"):
        back(prompt, expected=1)
    assert back(prompt, expected=2) == 1


# -- remove ---------------------------------------------------------------------------


def test_remove__a_label__is_gone_and_in_the_audit():
    prompt = make_prompt("1")
    move(prompt, 1, "staging")

    services.remove_label(prompt, "staging", actor=BOB, reason="Done", expected=1)

    assert pointed_at(prompt, "staging") is None
    assert told(prompt)[-1] == ("label_removed", 1, None)


def test_remove__what_is_not_there_or_elsewhere__is_refused():
    prompt = make_prompt("1", "2", production=1)

    with pytest.raises(ValidationError, match="no label 'staging'"):
        services.remove_label(prompt, "staging", actor=BOB)
    with pytest.raises(Conflict):
        services.remove_label(prompt, "production", actor=BOB, expected=2)


def test_rollback__after_an_experiments_winner__goes_to_what_was_before_it():
    """Promoting leaves two rows of the one move; one that moved nothing has no version."""
    prompt = make_prompt("1", "2", production=1)
    move(prompt, 2)
    for number in (2, None):
        record(
            prompt,
            PromptAction.EXPERIMENT_PROMOTED,
            ANN,
            label="production",
            to_version=number,
        )

    assert back(prompt) == 1
