"""Versions over REST: written, read, compared; and prompts rendered without a call."""

import pytest

from prompts import services
from prompts.models import PromptVersion
from tests.prompts.api.rows import ADA, make_prompt

pytestmark = pytest.mark.django_db
PROMPTS = "/api/prompts"


def post(client, path, **body):
    return client.post(f"{PROMPTS}/{path}", body, format="json")


def test_create__a_chat__comes_back_as_it_was_written(writer):
    services.create_prompt(key="a", kind="chat", actor=ADA)
    body = {
        "messages": [
            {"role": "system", "content": "  You are {{mood}}.\n"},
            {"role": "user", "content": "{{question}}"},
        ],
        "variables": [
            {"name": "mood", "default": "kind", "schema": {"enum": ["kind", "curt"]}},
            {"name": "question", "description": "What they ask"},
        ],
        "model": "gpt-x",
        "parameters": {"temperature": 0.2, "stop": ["\n"]},
        "note": "First",
        "tags": ["draft"],
    }
    response = post(writer, "a/versions", **body)
    assert response.status_code == 201, response.content
    made = response.json()
    assert made["version"] == 1
    assert made["messages"] == body["messages"]
    assert (made["model"], made["parameters"]) == ("gpt-x", body["parameters"])
    assert made["variables"][0]["schema"] == {"enum": ["kind", "curt"]}
    assert made["author"] == f"key vc-{writer.key.prefix}-…"
    assert writer.get(f"{PROMPTS}/a/versions/1").json() == made


def test_create__by_a_reader__is_403(reader):
    make_prompt(key="a")
    assert post(reader, "a/versions", template="x").status_code == 403


def test_create__based_on_an_older_one__is_409_that_says_who_won(writer):
    make_prompt("x", "y", key="a")
    response = post(writer, "a/versions", template="mine", based_on=1)
    assert response.status_code == 409
    error = response.json()["error"]
    assert error["type"] == "conflict_error"
    assert "ada" in error["message"]
    assert error["since"][0]["version"] == 2
    assert post(writer, "a/versions", template="mine", based_on=2).status_code == 201


def test_create__the_same_again__is_400(writer):
    make_prompt("x", key="a")
    response = post(writer, "a/versions", template="x")
    assert response.status_code == 400
    assert "version 1" in response.json()["error"]["message"]
    assert PromptVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"template": "x\0"}, "template"),
        ({"template": 5.5, "massages": []}, "massages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"template": "x", "variables": [{"name": "a"}, {}]}, "variables.1.name"),
        ({"template": "x", "parameters": {"a": "\0"}}, "parameters"),
        ({"template": "x", "parameters": []}, "parameters"),
        ({"template": "{{> missing}}"}, "template"),
    ],
)
def test_create__what_makes_no_sense__is_400_that_names_it(writer, body, param):
    make_prompt(key="a")
    response = post(writer, "a/versions", **body)
    assert response.status_code == 400, response.content
    assert response.json()["error"]["param"] == param


def test_list__of_versions__is_newest_first_without_the_words(reader):
    make_prompt("x", "y", "z", key="a", live=2)
    found = reader.get(f"{PROMPTS}/a/versions").json()["data"]
    assert [one["version"] for one in found] == [3, 2, 1]
    assert found[1]["labels"] == ["production"]
    assert "template" not in found[0]


@pytest.mark.parametrize(
    ("name", "version"), [("1", 1), ("production", 2), ("latest", 3)]
)
def test_get__by_number_or_label__is_that_version(reader, name, version):
    make_prompt("x", "y", "z", key="a", live=2)
    make_prompt("other", key="b", live=1)
    found = reader.get(f"{PROMPTS}/a/versions/{name}").json()
    assert (found["version"], found["template"]) == (version, "xyz"[version - 1])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("9", "prompt_version_not_found"),
        ("0", "prompt_version_not_found"),
        ("9" * 30, "prompt_label_not_found"),
        ("staging", "prompt_label_not_found"),
        ("²", "prompt_label_not_found"),
    ],
)
def test_get__one_that_is_not_there__is_404(reader, name, code):
    make_prompt("x", key="a")
    response = reader.get(f"{PROMPTS}/a/versions/{name}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == code


def test_get__latest_of_none__is_404(reader):
    make_prompt(key="a")
    assert reader.get(f"{PROMPTS}/a/versions/latest").status_code == 404


def test_diff__of_two_versions__shows_what_changed(reader):
    prompt = make_prompt("One\nTwo\n", key="a")
    services.add_version(
        prompt, template="One\nThree\n", model="m", parameters={"n": 1}, actor=ADA
    )
    found = reader.get(f"{PROMPTS}/a/diff", {"from": "1", "to": "latest"}).json()
    assert (found["from_version"], found["to_version"]) == (1, 2)
    assert found["changed"] == ["words", "model", "parameters"]
    assert "\n-Two\n+Three\n" in found["diff"]
    same = reader.get(f"{PROMPTS}/a/diff", {"from": "1", "to": "1"}).json()
    assert (same["changed"], same["diff"]) == ([], "")


def test_diff__of_chats__shows_the_message(reader):
    prompt = services.create_prompt(key="a", kind="chat", actor=ADA)
    for text in ("old", "new"):
        messages = [{"role": "system", "content": "Hi"}, {"role": "user", "content": text}]  # fmt: skip
        services.add_version(prompt, messages=messages, actor=ADA)
    found = reader.get(f"{PROMPTS}/a/diff", {"from": "1", "to": "2"}).json()
    assert " [user]\n-old\n+new" in found["diff"]


def test_diff__of_variables__shows_their_declarations(reader):
    prompt = make_prompt("Hi {{name}}", key="a")
    named = {"name": "name", "default": "you"}
    services.add_version(prompt, template="Hi {{name}}", variables=[named], actor=ADA)
    found = reader.get(f"{PROMPTS}/a/diff", {"from": "1", "to": "2"}).json()
    assert found["changed"] == ["variables"]
    assert '"default": "you"' in found["diff"]


def test_diff__of_texts_without_end__is_refused(reader):
    lines = [f"{at}\n" * 5000 for at in range(2)]
    make_prompt(*lines, key="a")
    response = reader.get(f"{PROMPTS}/a/diff", {"from": "1", "to": "2"})
    assert response.status_code == 400


@pytest.mark.parametrize("query", [{}, {"from": "1"}, {"from": "1", "to": "\0"}])
def test_diff__without_two_versions__is_400(reader, query):
    make_prompt("x", key="a")
    assert reader.get(f"{PROMPTS}/a/diff", query).status_code == 400


def test_compile__a_text__is_rendered_without_a_call(reader):
    make_prompt("Be kind.", key="tone", live=1)
    make_prompt("{{> tone}} Greet {{name}}.", key="a", live=1)
    response = post(reader, "a/compile", variables={"name": "{{x}} Ada"})
    assert response.json() == {
        "key": "a",
        "version": 1,
        "label": "production",
        "variant": "",
        "text": "Be kind. Greet {{x}} Ada.",
        "messages": [{"role": "user", "content": "Be kind. Greet {{x}} Ada."}],
        "model": None,
        "parameters": {},
    }


def test_compile__another_version_or_label__is_that_one(reader):
    make_prompt("x", "y", "z", key="a", live=1)
    assert post(reader, "a/compile", version=2).json()["text"] == "y"
    assert post(reader, "a/compile", label="latest").json()["text"] == "z"


def test_compile__missing_and_unknown_variables__are_named(reader):
    make_prompt("Greet {{name}}.", key="a", live=1)
    error = post(reader, "a/compile", variables={"nmae": "Ada"}).json()["error"]
    assert (error["missing"], error["unknown"]) == (["name"], ["nmae"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"version": 1, "label": "production"}, 400),
        ({"version": 7}, 404),
        ({"label": "staging"}, 404),
        ({"variables": ["x"]}, 400),
    ],
)
def test_compile__what_makes_no_sense__is_refused(reader, body, status):
    make_prompt("x", key="a", live=1)
    assert post(reader, "a/compile", **body).status_code == status


def test_compile__for_a_user__is_what_a_rollout_gives(reader):
    prompt = make_prompt("old", "new", key="a", live=1)
    rollout = services.start_rollout(prompt, 2, share=5000, actor=ADA)
    given = {
        user: post(reader, "a/compile", user=user).json()
        for user in ("u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8")
    }
    variants = {one["variant"] for one in given.values()}
    assert variants == {f"rollout-{rollout.pk}:new", f"rollout-{rollout.pk}:stable"}
    for one in given.values():
        assert one["text"] == ("new" if one["variant"].endswith(":new") else "old")
    # Without a user: what the label points at.
    assert post(reader, "a/compile").json()["variant"] == ""
