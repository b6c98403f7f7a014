"""Prompts over REST: listed, found, made, described, archived."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from prompts.models import Prompt, PromptEvent, ProtectedLabel
from tests.prompts.api.conftest import person
from tests.prompts.api.rows import make_prompt

pytestmark = pytest.mark.django_db
PROMPTS = "/api/prompts"


def keys_of(response):
    assert response.status_code == 200, response.content
    return [one["key"] for one in response.json()["data"]]


def test_list__of_many__comes_in_pages_by_key(reader):
    for letter in "ebdac":
        make_prompt(key=letter)
    first = reader.get(PROMPTS, {"limit": 2})
    assert keys_of(first) == ["a", "b"]
    second = reader.get(PROMPTS, {"limit": 2, "cursor": first.json()["next_cursor"]})
    assert keys_of(second) == ["c", "d"]
    last = reader.get(PROMPTS, {"limit": 2, "cursor": second.json()["next_cursor"]})
    assert keys_of(last) == ["e"]
    assert last.json()["next_cursor"] is None


def test_list__a_row_more_meanwhile__repeats_nothing(reader):
    for letter in "bdf":
        make_prompt(key=letter)
    cursor = reader.get(PROMPTS, {"limit": 2}).json()["next_cursor"]
    make_prompt(key="a")
    make_prompt(key="e")
    assert keys_of(reader.get(PROMPTS, {"cursor": cursor})) == ["e", "f"]


def test_list__its_queries__do_not_grow_with_it(reader):
    make_prompt("x", "y", live=1)
    with CaptureQueriesContext(
        connection,
    ) as few:
        reader.get(PROMPTS)
    for _ in range(10):
        make_prompt("x", "y", live=1)
    with CaptureQueriesContext(connection) as many:
        assert len(keys_of(reader.get(PROMPTS))) == 11
    assert len(many) == len(few)


def test_list__filters__keep_what_fits(reader):
    make_prompt(key="a", folder="canvas")
    make_prompt(key="b", folder="canvas/drafts", tags=["hot", "new"])
    make_prompt(key="c", folder="canvassing", description="The Big one")
    assert keys_of(reader.get(PROMPTS, {"folder": "canvas"})) == ["a", "b"]
    assert keys_of(reader.get(PROMPTS, {"tag": "hot"})) == ["b"]
    assert keys_of(reader.get(PROMPTS, {"search": "big"})) == ["c"]
    assert keys_of(reader.get(PROMPTS, {"search": "%"})) == []
    assert keys_of(reader.get(PROMPTS, {"tag": "hot", "folder": "x"})) == []


def test_list__archived_ones__are_apart(reader, publisher):
    make_prompt(key="a")
    make_prompt(key="b")
    assert publisher.delete(f"{PROMPTS}/a").status_code == 204
    assert keys_of(reader.get(PROMPTS)) == ["b"]
    assert keys_of(reader.get(PROMPTS, {"archived": "true"})) == ["a"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "9" * 50}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "cD0lMDA="}, "cursor"),
        ({"search": "a\0"}, "search"),
        ({"archived": "perhaps"}, "archived"),
        ({"taag": "hot"}, "taag"),
    ],
)
def test_list__a_query_that_makes_no_sense__is_400(reader, query, param):
    make_prompt()
    response = reader.get(PROMPTS, query)
    assert response.status_code == 400, response.content
    assert response.json()["error"]["param"] == param


def test_list__with_a_slash_at_the_end__is_the_same(reader, writer):
    make_prompt(key="a")
    assert keys_of(reader.get(f"{PROMPTS}/")) == ["a"]
    made = writer.post(f"{PROMPTS}/", {"key": "b"}, format="json")
    assert made.status_code == 201


def test_create__by_a_key__is_in_the_audit_under_its_name(writer):
    made = writer.post(
        PROMPTS,
        {"key": "canvas.generate", "kind": "chat", "folder": "canvas", "tags": ["x"]},
        format="json",
    )
    assert made.status_code == 201
    assert made.json() == {
        **made.json(),
        "key": "canvas.generate",
        "kind": "chat",
        "folder": "canvas",
        "tags": ["x"],
        "owner": None,
        "production": None,
        "latest": None,
        "labels": [],
        "rollout": None,
        "archived": False,
        "cache_policy": "auto",
    }
    event = PromptEvent.objects.get()
    assert event.actor_name == f"key vc-{writer.key.prefix}-…"


def test_create__by_a_person__needs_the_right_to_add():
    body = {"key": "a"}
    assert person("prompts.change_prompt").post(PROMPTS, body, format="json").status_code == 403  # fmt: skip
    client = person("prompts.add_prompt")
    assert client.post(PROMPTS, body, format="json").status_code == 201
    assert PromptEvent.objects.get().actor == client.user


def test_owner__set_changed_and_taken_away__is_shown_and_audited(writer):
    ada, bob = person().user.username, person().user.username
    made = writer.post(PROMPTS, {"key": "a", "owner": ada}, format="json")
    assert (made.status_code, made.json()["owner"]) == (201, ada)
    url = f"{PROMPTS}/a"
    assert writer.patch(url, {"owner": bob}, format="json").json()["owner"] == bob
    assert writer.patch(url, {"folder": "x"}, format="json").json()["owner"] == bob
    assert writer.patch(url, {"owner": None}, format="json").json()["owner"] is None
    told = [event.details for event in PromptEvent.objects.order_by("id")]
    assert told[1] == {"changed": {"owner": [ada, bob]}}
    assert told[3] == {"changed": {"owner": [bob, ""]}}


@pytest.mark.parametrize("owner", ["nobody-at-all", "", 7, [], {}, "a\0", "x" * 151])
def test_owner__whom_there_is_not__is_400_that_names_the_field(writer, owner):
    made = writer.post(PROMPTS, {"key": "a", "owner": owner}, format="json")
    assert (made.status_code, made.json()["error"]["param"]) == (400, "owner")
    make_prompt(key="b")
    edited = writer.patch(f"{PROMPTS}/b", {"owner": owner}, format="json")
    assert (edited.status_code, edited.json()["error"]["param"]) == (400, "owner")
    assert not Prompt.objects.filter(key="a").exists()


def test_create__a_key_that_is_taken__is_400_that_names_it(writer):
    make_prompt(key="a")
    response = writer.post(PROMPTS, {"key": "a"}, format="json")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "key"


def test_create__without_the_scope__changes_nothing(reader):
    assert reader.post(PROMPTS, {"key": "a"}, format="json").status_code == 403
    assert not Prompt.objects.exists()


def test_get__one__has_its_labels(reader):
    make_prompt("x", "y", "z", key="a", live=2)
    found = reader.get(f"{PROMPTS}/a").json()
    assert (found["production"], found["latest"]) == (2, 3)
    assert [(one["name"], one["version"]) for one in found["labels"]] == [
        ("production", 2)
    ]


@pytest.mark.parametrize("key", ["missing", "é", "a" * 300])
def test_get__one_that_is_not_there__is_404(reader, key):
    response = reader.get(f"{PROMPTS}/{key}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "prompt_not_found"


def test_patch__some_fields__leaves_the_others(writer):
    make_prompt(key="a", folder="canvas", tags=["x"])
    response = writer.patch(
        f"{PROMPTS}/a",
        {"description": "What for", "cache_scope": "customer"},
        format="json",
    )
    assert response.status_code == 200
    found = response.json()
    assert (found["description"], found["cache_scope"]) == ("What for", "customer")
    assert (found["folder"], found["tags"]) == ("canvas", ["x"])


def test_patch__the_key__is_refused(writer):
    make_prompt(key="a")
    response = writer.patch(f"{PROMPTS}/a", {"key": "b"}, format="json")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "key"


def test_archive__by_a_writer__needs_the_scope_to_publish(writer, publisher):
    make_prompt(key="a")
    assert writer.delete(f"{PROMPTS}/a").status_code == 403
    assert publisher.delete(f"{PROMPTS}/a").status_code == 204
    assert Prompt.objects.get().archived
    assert publisher.post(f"{PROMPTS}/a/restore").json()["archived"] is False


def test_archive__with_a_label_that_keys_may_not_move__is_refused(publisher):
    prompt = make_prompt("Hi.", key="a", live=1)
    ProtectedLabel.objects.create(name="production", keys_may_move=False)
    answer = publisher.delete(f"{PROMPTS}/a")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "label_protected")  # fmt: skip
    Prompt.objects.update(archived=True)
    assert publisher.post(f"{PROMPTS}/a/restore").status_code == 403
    prompt.labels.all().delete()
    assert publisher.post(f"{PROMPTS}/a/restore").status_code == 200


def test_archive__of_one_that_others_include__is_400_that_says_which(publisher):
    make_prompt("Be kind.", key="tone", live=1)
    make_prompt("{{> tone}} Go.", key="task", live=1)
    response = publisher.delete(f"{PROMPTS}/tone")
    assert response.status_code == 400
    assert "task" in response.json()["error"]["message"]


def test_history__of_a_prompt__is_who_did_what_newest_first(reader):
    make_prompt("x", "y", key="a", live=2)
    make_prompt("other", key="b")
    response = reader.get(f"{PROMPTS}/a/history", {"limit": 3})
    found = response.json()["data"]
    assert [one["action"] for one in found] == ["moved", "version", "version"]
    assert found[0]["actor"] == "ada"
    assert (found[0]["from_version"], found[0]["to_version"]) == (None, 2)
    cursor = response.json()["next_cursor"]
    rest = reader.get(f"{PROMPTS}/a/history", {"cursor": cursor}).json()["data"]
    assert [one["action"] for one in rest] == ["created"]


def test_history__with_a_cursor_made_up__is_400(reader):
    make_prompt("x", key="a")
    # p=abc, where an id is wanted
    response = reader.get(f"{PROMPTS}/a/history", {"cursor": "cD1hYmM="})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "cursor"
