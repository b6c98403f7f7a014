"""Prompts made, edited, archived, each with its row in the audit."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError

from prompts import services
from prompts.models import Prompt
from prompts.services import PromptActor
from tests.prompts.rows import ANN, BOB, events, make_prompt, make_user, told
from valuecanvas.core.db import epoch
from valuecanvas.core.errors import NotPermitted

pytestmark = pytest.mark.django_db


def test_create__a_prompt__is_there_with_its_event():
    owner = make_user(is_superuser=True)

    made = services.create_prompt(
        key="canvas.generate",
        kind="chat",
        folder="canvas/drafts",
        description="d",
        owner=owner,
        tags=["a"],
        cache_policy="never",
        cache_scope="team",
        actor=PromptActor.from_user(owner),
        reason="Needed",
    )

    found = Prompt.objects.get(key="canvas.generate")
    assert found == made
    assert (found.kind, found.folder, found.tags) == ("chat", "canvas/drafts", ["a"])
    assert (found.cache_policy, found.cache_scope) == ("never", "team")
    (event,) = events(found)
    assert (event.action, event.actor, event.reason) == ("created", owner, "Needed")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": "Has.Capitals"}, "key"),
        ({"key": "a..b"}, "key"),
        ({"key": ""}, "key"),
        ({"key": "a\n"}, "key"),
        ({"key": "a", "kind": "poem"}, "kind"),
        ({"key": "a", "folder": "/a"}, "folder"),
        ({"key": "a", "cache_scope": "world"}, "cache_scope"),
    ],
)
def test_create__wrong_fields__are_refused(fields, field):
    with pytest.raises(ValidationError) as caught:
        services.create_prompt(actor=ANN, **fields)

    assert list(caught.value.message_dict) == [field]
    assert not Prompt.objects.exists()


def test_create__a_key_that_is_taken__is_refused():
    make_prompt(key="taken")

    with pytest.raises(ValidationError) as caught:
        services.create_prompt(key="taken", actor=BOB)

    assert list(caught.value.message_dict) == ["key"]


def test_create__a_key_taken_after_the_check__is_refused(monkeypatch):
    make_prompt(key="taken")
    monkeypatch.setattr(Prompt, "full_clean", lambda self: None)

    with pytest.raises(ValidationError, match="'taken' already"):
        services.create_prompt(key="taken", actor=BOB)


def test_edit__some_fields__changes_those_and_tells_both_values():
    owner = make_user("owner")
    prompt = make_prompt(folder="a", tags=["x"])

    found = services.edit_prompt(
        prompt, folder="b", tags=("y",), owner=owner, archived=True, actor=BOB
    )

    prompt.refresh_from_db()
    assert found == prompt
    assert (prompt.folder, prompt.tags, prompt.owner) == ("b", ["y"], owner)
    assert prompt.archived
    event = events(prompt)[-1]
    assert (event.action, event.actor_name) == ("edited", "bob")
    assert event.details == {
        "changed": {
            "folder": ["a", "b"],
            "tags": [["x"], ["y"]],
            "owner": ["", "owner"],
            "archived": [False, True],
        }
    }


def test_edit__the_owner_away__is_a_change():
    prompt = make_prompt(owner=make_user())

    assert services.edit_prompt(prompt, owner=None, actor=ANN).owner is None


def test_edit__nothing_new__leaves_no_trace():
    prompt = make_prompt(folder="a")
    before = epoch.current()

    services.edit_prompt(prompt, folder="a", archived=False, actor=ANN)

    assert epoch.current() == before
    assert told(prompt) == [("created", None, None)]


def test_edit__wrong_fields__are_refused():
    prompt = make_prompt(folder="a")

    with pytest.raises(ValidationError) as caught:
        services.edit_prompt(prompt, folder="//", actor=ANN)

    assert list(caught.value.message_dict) == ["folder"]
    prompt.refresh_from_db()
    assert prompt.folder == "a"


def test_actor__of_an_account_or_key__is_named():
    user = make_user("ann", "Editors", is_superuser=True)

    assert PromptActor.from_user(user) == PromptActor(
        "ann", user, frozenset({"Editors"}), True
    )
    assert PromptActor.from_key("abc") == PromptActor("key vc-abc-…", is_key=True)
    with pytest.raises(NotPermitted):
        PromptActor.from_user(AnonymousUser())
