"""The list of prompts, their details, and what becomes of archived ones."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from prompts import services
from prompts.admin.folders import places
from prompts.models import Experiment, Prompt, PromptEvent
from tests.admin.prompt_rows import NOBODY, make_prompt, make_version, publish
from tests.tampering import tampering
from valuecanvas.core.templatetags.figures import ago

LIST = "/admin/prompts/prompt/"


def page_of(prompt: Prompt, name: str = "change") -> str:
    return f"{LIST}{prompt.pk}/{name}/"


def shown(client: Client, **query: str) -> list[str]:
    rows = client.get(LIST, query).context["cl"].result_list
    return [row.key for row in rows]


# -- the list ----------------------------------------------------------------------


def test_list__prompt_with_everything__tells_it_all(boss: Client) -> None:
    prompt = make_prompt("canvas.generate", versions=3, live=2, folder="canvas")
    services.start_rollout(prompt, 3, share=2550, actor=NOBODY, reason="careful")
    text = boss.get(LIST).content.decode()
    for word in (
        "canvas.generate",
        "v2",
        "v3",
        "25.5",
        "Started the rollout of version 3",
    ):
        assert word in text


def test_list__running_experiment__is_said(boss: Client) -> None:
    prompt = make_prompt(versions=1, live=1)
    Experiment.objects.create(key="e", prompt=prompt, state="running")
    assert "experiment" in boss.get(LIST).context["cl"].result_list[0].running_text
    Experiment.objects.update(state="stopped")
    assert boss.get(LIST).context["cl"].result_list[0].running_text == ""


def test_list__rollout_and_experiment__both_are_said(boss: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    services.start_rollout(prompt, 2, share=100, actor=NOBODY)
    Experiment.objects.create(key="e", prompt=prompt, state="running")
    said = boss.get(LIST).context["cl"].result_list[0].running_text
    assert said == "v2 at 1\u00a0%, experiment"


def test_list__nothing_written__says_not_published(boss: Client) -> None:
    make_prompt("empty")
    assert "not published" in boss.get(LIST).content.decode()


def test_list__event_gone__dash(boss: Client) -> None:
    make_prompt()
    with tampering():
        PromptEvent.objects.all().delete()
    assert boss.get(LIST).status_code == 200


def test_folders__chosen__hold_what_is_below(boss: Client) -> None:
    make_prompt("one", folder="support")
    make_prompt("two", folder="support/mail")
    make_prompt("three", folder="supporters")
    assert shown(boss, folder="support") == ["one", "two"]
    assert shown(boss, folder="support/mail") == ["two"]
    assert len(shown(boss)) == 3


@pytest.mark.parametrize(
    ("here", "titles"),
    [
        ("", ["All prompts", "canvas", "support"]),
        ("support", ["All prompts", "support", "mail"]),
        ("support/mail", ["All prompts", "support", "mail"]),
    ],
)
def test_places__folder__way_down_and_what_is_below(
    db: None, here: str, titles: list[str]
) -> None:
    make_prompt(folder="support/mail")
    make_prompt(folder="canvas")
    found = places(here)
    assert [one.title for one in found] == titles
    assert sum(one.here for one in found) == 1


def test_folders__none__no_chips(boss: Client) -> None:
    make_prompt()
    assert boss.get(LIST).context["places"] == []


def test_archived__list__leaves_them_out_unless_asked(boss: Client) -> None:
    old, new = make_prompt("old"), make_prompt("new")
    services.edit_prompt(old, actor=NOBODY, archived=True)
    assert shown(boss) == [new.key]
    assert shown(boss, archived="only") == [old.key]
    assert shown(boss, archived="too") == [new.key, old.key]


def test_search__part_of_a_tag__finds(boss: Client) -> None:
    make_prompt("one", tags=["billing"])
    make_prompt("two")
    assert shown(boss, q="bill") == ["one"]


def test_list__hundreds_of_versions__no_more_queries(boss: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            boss.get(LIST)
        return len(found)

    make_prompt(versions=1, live=1)
    queries()
    before = queries()
    for _ in range(6):
        make_prompt(versions=4, live=3)
    assert queries() == before


# -- make one ----------------------------------------------------------------------


def details(**fields: str) -> dict[str, str]:
    return {
        "key": "canvas.generate",
        "kind": "text",
        "folder": "canvas",
        "description": "Makes canvases.",
        "owner": "",
        "tags": "a, b",
        "cache_policy": "auto",
        "cache_scope": "",
        **fields,
    }


def test_add__filled_in__goes_to_its_page_and_is_audited(operator: Client) -> None:
    answer = operator.post(f"{LIST}add/", details())
    prompt = Prompt.objects.get()
    assert answer["Location"] == page_of(prompt)
    assert (prompt.folder, prompt.tags) == ("canvas", ["a", "b"])
    event = prompt.events.get()
    assert (event.action, event.actor_name) == ("created", "olga")
    page = operator.get(answer["Location"]).content.decode()
    assert "The first version" in page
    assert "Nothing reaches a model before you publish it" in page


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"key": "Canvas Generate"}, "Use small letters"),
        ({"key": "taken"}, "already exists"),
        ({"folder": "a//b"}, "separated by"),
    ],
)
def test_add__wrong_field__says_what_to_do(
    operator: Client, wrong: dict[str, str], message: str
) -> None:
    make_prompt("taken")
    answer = operator.post(f"{LIST}add/", details(**wrong))
    assert message in answer.content.decode()
    assert Prompt.objects.count() == 1


def test_details__changed__only_that_is_audited(operator: Client) -> None:
    prompt = make_prompt(
        folder="canvas", description="Makes canvases.", tags=["a", "b"]
    )
    answer = operator.post(page_of(prompt, "details"), details(folder="other"))
    assert answer["Location"] == page_of(prompt)
    prompt.refresh_from_db()
    assert prompt.folder == "other"
    event = prompt.events.first()
    assert event is not None
    assert event.details["changed"] == {"folder": ["canvas", "other"]}


def test_details__key_sent__stays(operator: Client) -> None:
    prompt = make_prompt("old.key")
    operator.post(page_of(prompt, "details"), details())
    prompt.refresh_from_db()
    assert prompt.key == "old.key"


def test_details__auditor__may_not(auditor: Client) -> None:
    prompt = make_prompt()
    assert auditor.post(page_of(prompt, "details"), details()).status_code == 403


# -- archive -----------------------------------------------------------------------


def test_archive__confirmed__and_brought_back(operator: Client) -> None:
    prompt = make_prompt(versions=1, live=1)
    url = page_of(prompt, "archive")
    assert "get an error" in operator.get(url).content.decode()
    assert "Give a reason" in operator.post(url, {"reason": ""}).content.decode()
    operator.post(url, {"reason": "Nobody calls it."})
    prompt.refresh_from_db()
    assert prompt.archived
    event = prompt.events.first()
    assert event is not None
    assert event.reason == "Nobody calls it."
    assert "Restore" in operator.get(page_of(prompt)).content.decode()
    operator.post(url, {"reason": "Somebody does."})
    prompt.refresh_from_db()
    assert not prompt.archived


def test_archive__included_elsewhere__is_refused_with_the_reason(
    operator: Client,
) -> None:
    inner = make_prompt("house.style", versions=1, live=1)
    outer = make_prompt("outer")
    make_version(outer, "{{> house.style}} {{business}}")
    publish(outer, 1)
    answer = operator.post(page_of(inner, "archive"), {"reason": "old"})
    assert answer.status_code == 422
    assert "outer" in answer.content.decode()
    inner.refresh_from_db()
    assert not inner.archived


def test_archive__without_the_right_to_publish__forbidden(auditor: Client) -> None:
    prompt = make_prompt()
    assert auditor.post(page_of(prompt, "archive"), {"reason": "x"}).status_code == 403


def test_delete__superuser__may_not(boss: Client) -> None:
    prompt = make_prompt()
    answer = boss.post(page_of(prompt, "delete"), {"post": "yes"})
    assert answer.status_code == 403
    assert Prompt.objects.exists()


# -- history and protected labels ----------------------------------------------------


def test_history__of_one_prompt__only_its_own(boss: Client) -> None:
    prompt, other = make_prompt(versions=1, live=1), make_prompt()
    answer = boss.get("/admin/prompts/promptevent/", {"prompt": prompt.pk})
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "put production on version 1" in text
    assert other.key not in text


def test_history__operator__sees_who_and_why(operator: Client) -> None:
    prompt = make_prompt(versions=1)
    publish(prompt, 1, why="because it is better")
    text = operator.get("/admin/prompts/promptevent/").content.decode()
    assert "somebody" in text
    assert "because it is better" in text


def test_protected_labels__without_groups__superusers_only(boss: Client) -> None:
    boss.post("/admin/prompts/protectedlabel/add/", {"name": "production"})
    text = boss.get("/admin/prompts/protectedlabel/").content.decode()
    assert "superusers only" in text


def test_owner__set__is_on_the_page(boss: Client) -> None:
    owner = User.objects.create_user("anna")
    prompt = make_prompt(owner=owner)
    assert "Owner: anna" in boss.get(page_of(prompt)).content.decode()


def test_ago__now_and_earlier__words() -> None:
    now = timezone.now()
    assert ago(now) == "just now"
    assert ago(now - timedelta(days=3, hours=5)) == "3\u00a0days ago"
