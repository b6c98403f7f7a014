"""New versions: numbered, immutable, checked, and never silently over another's."""

import datetime as dt

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from prompts import services
from prompts.models import PromptVersion
from prompts.models.version import Immutable
from prompts.services import PromptActor
from tests.prompts.rows import ANN, BOB, events, make_prompt, make_user, told
from valuecanvas.core.db import epoch
from valuecanvas.core.errors import Conflict

pytestmark = pytest.mark.django_db


def refused(prompt, **words) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        services.add_version(prompt, actor=ANN, **words)
    assert not prompt.versions.exists()
    return caught.value.message_dict


def test_add__versions__are_numbered_from_one_with_author_and_note():
    user = make_user("ann")
    prompt = make_prompt()

    first = services.add_version(
        prompt,
        template="Hi {{name}}",
        actor=PromptActor.from_user(user),
        note="A start",
        tags=["t"],
    )
    second = services.add_version(prompt, template="Hello {{name}}", actor=BOB)

    assert (first.number, second.number) == (1, 2)
    assert (first.author, first.author_name) == (user, "ann")
    assert (first.note, first.tags, second.author) == ("A start", ["t"], None)
    assert told(prompt)[1:] == [("version", None, 1), ("version", None, 2)]
    assert events(prompt)[1].reason == "A start"


def test_add__names_not_declared__become_variables():
    prompt = make_prompt()

    made = services.add_version(
        prompt,
        template="{{a}} {{b}} {{c}}",
        variables=["b", {"name": "a", "default": "", "description": "", "schema": {}}],
        actor=ANN,
    )

    assert made.variables == [
        {"name": "b"},
        {"name": "a", "default": ""},
        {"name": "c"},
    ]


def test_add__chat__keeps_messages_model_and_parameters():
    prompt = make_prompt(kind="chat")
    rows = [{"role": "system", "content": "Be {{tone}}"}, {"role": "user", "content": "{{q}}"}]  # fmt: skip

    made = services.add_version(
        prompt, messages=rows, model="m", parameters={"temperature": 0}, actor=ANN
    )

    made.refresh_from_db()
    assert (made.messages, made.model, made.parameters) == (rows, "m", {"temperature": 0})  # fmt: skip
    assert [one["name"] for one in made.variables] == ["tone", "q"]


def test_add__the_same_again__is_refused():
    prompt = make_prompt("x")

    with pytest.raises(ValidationError, match="version 1 is identical") as caught:
        services.add_version(prompt, template="x", actor=ANN)

    assert caught.value.code == "unchanged"
    services.add_version(prompt, template="y", actor=ANN)
    services.add_version(prompt, template="x", actor=ANN)  # back again is a change


def test_add__based_on_an_older_version__tells_who_was_first():
    prompt = make_prompt("one")
    services.add_version(prompt, template="two", actor=BOB, note="Mine", based_on=1)

    with pytest.raises(Conflict) as caught:
        services.add_version(prompt, template="three", actor=ANN, based_on=1)

    assert caught.value.message == "Since version 1, bob saved version 2."
    assert caught.value.extra["newest"] == 2
    (since,) = caught.value.extra["since"]
    assert (since["version"], since["author"], since["note"]) == (2, "bob", "Mine")
    assert dt.datetime.fromisoformat(since["created_at"])
    services.add_version(prompt, template="three", actor=ANN, based_on=2)
    assert told(prompt)[-1] == ("version", 2, 3)


def test_version__once_saved__changes_neither_by_django_nor_by_sql():
    prompt = make_prompt("x")
    row = prompt.versions.get()

    with pytest.raises(Immutable):
        row.save()
    for change in (
        "template = 'y'",
        "note = 'y'",
        "number = 2",
        "parameters = '{\"a\":1}'",
    ):
        with (
            pytest.raises(IntegrityError, match="never changes"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"UPDATE prompt_versions SET {change}")  # noqa: S608
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        PromptVersion.objects.update(template="y")


def test_audit__once_written__never_changes():
    prompt = make_prompt("x")

    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        prompt.events.update(reason="another")


@pytest.mark.parametrize("table", ["prompt_versions", "prompt_events"])
def test_history__deleted__is_refused_by_the_database(table):
    prompt = make_prompt("x")

    refused = pytest.raises(IntegrityError, match="archive the prompt")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")  # noqa: S608
    # With the prompt, neither: it is archived.
    with refused, transaction.atomic():
        prompt.delete()
    assert prompt.versions.exists()
    assert prompt.events.exists()


def test_version__its_authors_account_deleted__stays_with_the_name():
    user = make_user("gone")
    prompt = make_prompt()
    services.add_version(prompt, template="x", actor=PromptActor.from_user(user))

    user.delete()

    row = prompt.versions.get()
    assert (row.author, row.author_name) == (None, "gone")
    assert events(prompt)[-1].actor_name == "gone"


def test_add__any_version__moves_the_epoch_under_the_prompts_key():
    prompt = make_prompt()
    before = epoch.current()

    services.add_version(prompt, template="x", actor=ANN)

    now, changes = epoch.changes_since(before)
    assert now == before + 1
    assert [(one.kind, one.key) for one in changes] == [("prompt", str(prompt.pk))]


LONG = "x" * 100_001


@pytest.mark.parametrize(
    ("words", "field", "why"),
    [
        ({"template": ""}, "template", "some text"),
        ({"template": " \n"}, "template", "some text"),
        ({"template": LONG}, "template", "100,000"),
        ({"template": "a\0b"}, "template", "NUL"),
        ({"template": "\ud800"}, "template", "surrogate"),
        ({"template": "x", "messages": [{}]}, "messages", "text prompt"),
        ({"template": "x", "variables": "abc"}, "variables", "a list"),
        ({"template": "x", "variables": [3]}, "variables", "a name, or an object"),
        ({"template": "x", "variables": ["a b"]}, "variables", "'a b' is not a name"),
        ({"template": "x", "variables": [{}]}, "variables", "is not a name"),
        ({"template": "x", "variables": ["a", "a"]}, "variables", "twice"),
        ({"template": "x", "variables": [{"name": "a", "typ": 1}]}, "variables", "'typ'"),
        ({"template": "x", "variables": [{"name": "a", "description": 1}]}, "variables", "a text"),
        ({"template": "x", "variables": [{"name": "a", "schema": {"type": 1}}]}, "variables", "'a': "),
        ({"template": "x", "variables": [{"name": "a", "schema": {"type": "integer"}, "default": "b"}]}, "variables", "default does not match"),
        ({"template": "x", "variables": [{"name": "a", "schema": {"items": {"pattern": "(?=b)"}}}]}, "variables", "'a': The pattern '(?=b)' can't be used"),
        ({"template": "x", "variables": [{"name": n, "schema": {"pattern": f"\\w{{99}}{n}"}} for n in "abc"]}, "variables", "'c': All patterns together"),
        ({"template": "x", "parameters": {"seed": 2**53}}, "parameters", "Numbers are from -9,007,"),
        ({"template": "x", "variables": [{"name": "a", "default": {"b": [-1e19]}}]}, "variables", "Numbers are from -9,007,"),
        ({"template": "x", "based_on": 1}, "based_on", "There is no version 1 yet."),
        ({"template": "x", "variables": [f"n{i}" for i in range(201)]}, "variables", "At most 200"),
        ({"template": "".join(f"{{{{n{i}}}}}" for i in range(201))}, "variables", "At most 200"),
        ({"template": "x", "model": "m" * 201}, "model", "200"),
        ({"template": "x", "model": "m\0"}, "model", "NUL"),
        ({"template": "x", "parameters": {"model": "m"}}, "parameters", "'model'"),
        ({"template": "x", "parameters": {"stream": True}}, "parameters", "'stream'"),
        ({"template": "x", "parameters": {"n": 0}}, "parameters", "'n' must be"),
        ({"template": "x", "parameters": {"max_tokens": "9"}}, "parameters", "from 1"),
        ({"template": "x", "parameters": ["a"]}, "parameters", "an object"),
        ({"template": "x", "parameters": {"a": float("nan")}}, "parameters", "JSON"),
        ({"template": "x", "parameters": {"a": object()}}, "parameters", "JSON"),
        ({"template": "x", "note": "n" * 10_001}, "note", "10,000"),
        ({"template": "x", "tags": ["t" * 41]}, "tags", "40"),
        ({"template": "x", "tags": ["t"] * 51}, "tags", "50"),
    ],
)  # fmt: skip
def test_add__wrong_words__are_refused_by_field(words, field, why):
    found = refused(make_prompt(), **words)

    assert list(found) == [field]
    assert why in found[field][0]


def said(content: object = "x", role: object = "user") -> dict[str, object]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("words", "field", "why"),
    [
        ({"template": "x", "messages": [said()]}, "template", "has messages"),
        ({"messages": []}, "messages", "at least one"),
        ({"messages": [said()] * 101}, "messages", "At most 100"),
        ({"messages": ["x"]}, "messages", 'Message 1: write {"role"'),
        ({"messages": [said(), {"role": "user"}]}, "messages", "Message 2"),
        ({"messages": [{**said(), "name": "x"}]}, "messages", "Message 1"),
        ({"messages": [said(role="tool")]}, "messages", "the role is one of system"),
        ({"messages": [said(role=["user"])]}, "messages", "the role is one of system"),
        ({"messages": [said("")]}, "messages", "Message 1: Write some text"),
        ({"messages": [said([{"type": "text"}])]}, "messages", "Write some text"),
    ],
)
def test_add__wrong_messages__are_refused_by_field(words, field, why):
    found = refused(make_prompt(kind="chat"), **words)

    assert list(found) == [field]
    assert why in found[field][0]


def test_add__a_backslash_u0000_in_the_words__is_just_text():
    made = services.add_version(make_prompt(), template=r"\u0000", actor=ANN)

    made.refresh_from_db()
    assert made.template == r"\u0000"
