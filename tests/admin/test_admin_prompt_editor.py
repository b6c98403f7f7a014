"""The page of a prompt: what it shows, what the editor saves and what it refuses."""

import html
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from prompts import services
from prompts.models import Experiment, Prompt, PromptVersion
from tests.admin.prompt_rows import NOBODY, actor, make_prompt, make_version, publish
from tests.prompts.payloads import PAYLOADS


def url_of(prompt: Prompt, name: str = "change") -> str:
    return f"/admin/prompts/prompt/{prompt.pk}/{name}/"


def sent(**fields: Any) -> dict[str, Any]:
    """The editor of a text prompt, as a browser sends it."""
    return {
        "template": "Say hello to {{name}}.",
        "model": "",
        "temperature": "",
        "max_tokens": "",
        "parameters": "",
        "note": "Kinder",
        "based_on": "",
        **fields,
    }


def variable(name: str, **fields: str) -> dict[str, str]:
    blank = {"description": "", "left_out": "must", "default": "", "kind": "any", "detail": "", "sample": ""}  # fmt: skip
    return {f"var_{key}": value for key, value in {**blank, "name": name, **fields}.items()}  # fmt: skip


def columns(*rows: dict[str, str]) -> dict[str, list[str]]:
    """Rows of variables as repeated fields."""
    return {key: [row[key] for row in rows] for key in rows[0]}


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


# -- what it shows -------------------------------------------------------------------


def test_page__published_prompt__tells_who_when_and_why(operator: Client) -> None:
    prompt = make_prompt(versions=3, live=1)
    publish(prompt, 2, by=actor("olga"), why="It is kinder.")
    text = text_of(operator.get(url_of(prompt)))
    for words in ("Version 2", "by olga", "It is kinder.", "Roll back to version 1", "Save as version 4"):  # fmt: skip
        assert words in text
    assert "moved production from version 1 to 2" in text


def test_page__published_prompt__shows_how_programs_ask_for_it(
    operator: Client,
) -> None:
    prompt = make_prompt("canvas.generate", versions=1)
    example = json.loads(operator.get(url_of(prompt)).context["example"])
    wanted = {"id": "canvas.generate", "variables": {"business": "…"}}
    assert example == {"model": "…", "prompt": wanted}
    make_version(prompt, "Hello.", model="demo")
    example = json.loads(operator.get(url_of(prompt)).context["example"])
    assert example == {"prompt": {"id": "canvas.generate"}}


def test_page__auditor__may_look_only(auditor: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    text = text_of(auditor.get(url_of(prompt)))
    assert "read-only" in text
    assert "<fieldset inert>" in text
    for words in ("Save as version", "Roll back to", ">Publish<", "Set a label"):
        assert words not in text
    assert auditor.post(url_of(prompt), sent()).status_code == 403


def test_page__old_version_asked__is_in_the_editor(operator: Client) -> None:
    prompt = make_prompt(versions=3)
    answer = operator.get(url_of(prompt), {"version": "1"})
    assert answer.context["form"]["template"].value().endswith("version 1.")
    assert answer.context["form"]["based_on"].value() == 3
    assert "Back to the newest" in text_of(answer)


@pytest.mark.parametrize("number", ["9", "x", "-1", "9" * 30])
def test_page__no_such_version__not_found(operator: Client, number: str) -> None:
    prompt = make_prompt(versions=1)
    assert operator.get(url_of(prompt), {"version": number}).status_code == 404


def test_page__many_versions__shows_the_newest_and_offers_the_rest(
    operator: Client,
) -> None:
    prompt = make_prompt(versions=23)
    answer = operator.get(url_of(prompt))
    assert len(answer.context["now"].lines) == 20
    assert "Show 3 older" in text_of(answer)
    every = operator.get(url_of(prompt), {"all": "1"})
    assert len(every.context["now"].lines) == 23


def test_page__more_of_everything__no_more_queries(boss: Client) -> None:
    def queries(prompt: Prompt) -> int:
        with CaptureQueriesContext(connection) as found:
            assert boss.get(url_of(prompt)).status_code == 200
        return len(found)

    small = make_prompt(versions=2, live=1)
    queries(small)
    few = queries(small)
    large = make_prompt(versions=30, live=5)
    for name in ("staging", "beta", "old"):
        services.move_label(large, name, 3, expected=None, actor=NOBODY)
    assert queries(large) == few
    assert few <= 20


def test_page__rollout_and_experiment__are_told(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    steps = [{"share": 5000, "after_minutes": 60}]
    services.start_rollout(prompt, 2, share=1000, steps=steps, actor=NOBODY)
    Experiment.objects.create(key="tone", prompt=prompt, hypothesis="Kinder is better")
    text = text_of(operator.get(url_of(prompt)))
    for words in ("10\u00a0%", "next step", "Change or end it", "tone", "Kinder is better"):  # fmt: skip
        assert words in text


def test_page__words_of_a_stranger__stay_text(operator: Client) -> None:
    prompt = make_prompt(description="<script>alert(1)</script>")
    make_version(prompt, "<img src=x onerror=alert(2)>", note="<b>x</b>")
    text = text_of(operator.get(url_of(prompt)))
    for words in ("<script>alert(1)", "<img src=x", "<b>x</b>"):
        assert words not in text


# -- saving --------------------------------------------------------------------------


def test_save__first_version__is_not_live(operator: Client) -> None:
    prompt = make_prompt()
    answer = operator.post(url_of(prompt), sent(), follow=True)
    version = prompt.versions.get()
    assert (version.number, version.author_name, version.note) == (1, "olga", "Kinder")
    assert version.variables == [{"name": "name"}]
    assert not prompt.labels.exists()
    assert "It is not live" in text_of(answer)


def test_save__windows_line_ends__become_plain(operator: Client) -> None:
    prompt = make_prompt()
    operator.post(url_of(prompt), sent(template="one\r\ntwo  "))
    assert prompt.versions.get().template == "one\ntwo  "


def test_save__and_publish__goes_on_to_the_question(operator: Client) -> None:
    prompt = make_prompt(versions=1, live=1)
    answer = operator.post(url_of(prompt), sent(based_on="1", publish="1"))
    assert answer["Location"] == f"{url_of(prompt, 'move')}?version=2"
    assert not prompt.labels.filter(version__number=2).exists()


def test_save__settings__are_sent_with_the_version(operator: Client) -> None:
    prompt = make_prompt()
    fields = sent(
        model=" demo ", temperature="0.5", max_tokens="200", parameters='{"top_p": 0.9}'
    )
    operator.post(url_of(prompt), fields)
    version = prompt.versions.get()
    assert version.model == "demo"
    assert version.parameters == {"temperature": 0.5, "max_tokens": 200, "top_p": 0.9}
    # And they come back into the editor as they were.
    form = operator.get(url_of(prompt)).context["form"]
    assert form["temperature"].value() == 0.5
    assert json.loads(form["parameters"].value()) == {"top_p": 0.9}


def test_save__chat__messages_in_their_order(operator: Client) -> None:
    prompt = make_prompt(kind="chat")
    text = text_of(operator.get(url_of(prompt)))
    assert text.count('name="content"') == 3  # two to begin with, and the blank row
    rows = {"role": ["system", "user"], "content": ["Be kind.", "{{mail}}"]}
    operator.post(url_of(prompt), sent(template="", **rows))
    version = prompt.versions.get()
    assert version.messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "{{mail}}"},
    ]
    assert [one["name"] for one in version.variables] == ["mail"]


def test_save__variables__rules_become_schemas_and_come_back(operator: Client) -> None:
    prompt = make_prompt()
    rows = columns(
        variable("tone", kind="one_of", detail="warm, dry", description="How"),
        variable("count", kind="whole", left_out="default", default="3"),
        variable("name", kind="short", detail="40"),
        variable("on", kind="yes_no", left_out="default", default="true"),
        variable("own", kind="schema", detail='{"type": "array"}'),
    )
    words = "{{tone}} {{count}} {{name}} {{on}} {{own}}"
    operator.post(url_of(prompt), sent(template=words, **rows))
    assert prompt.versions.get().variables == [
        {"name": "tone", "description": "How", "schema": {"enum": ["warm", "dry"]}},
        {"name": "count", "default": 3, "schema": {"type": "integer"}},
        {"name": "name", "schema": {"type": "string", "maxLength": 40}},
        {"name": "on", "default": True, "schema": {"type": "boolean"}},
        {"name": "own", "schema": {"type": "array"}},
    ]
    shown = operator.get(url_of(prompt)).context["rows"]
    assert [(row["kind"], row["detail"]) for row in shown] == [
        ("one_of", "warm, dry"),
        ("whole", ""),
        ("short", "40"),
        ("yes_no", ""),
        ("schema", '{"type": "array"}'),
    ]
    assert [row["default"] for row in shown] == ["", "3", "", "true", ""]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"note": ""}, "Write in a few words what changed"),
        ({"template": "  "}, "Write some text"),
        ({"temperature": "9"}, "less than or equal to 2"),
        ({"parameters": "top_p"}, "This is not JSON"),
        ({"parameters": "[1]"}, "Write names with values"),
        ({"parameters": '{"temperature": 1}'}, "Set temperature in its own field"),
        ({"parameters": '{"stream": true}'}, "cannot be set by a prompt"),
        ({"template": "{{> no.such.prompt}}"}, "no.such.prompt"),
        (variable("name", kind="short", detail="x"), "largest number of characters"),
        (variable("name", kind="one_of", detail=" , "), "list the allowed values"),
        (variable("name", kind="schema", detail="{"), "be read as JSON"),
        (variable("name", kind="schema", detail="3"), "is an object"),
        (variable("name", kind="schema", detail='{"type": 3}'), "name"),
        (variable("9bad"), "9bad"),
        (variable("name", kind="whole", left_out="default", default="x"), "does not match the schema"),
    ],
)  # fmt: skip
def test_save__wrong_field__says_what_to_do_and_keeps_the_words(
    operator: Client, wrong: dict[str, str], message: str
) -> None:
    prompt = make_prompt()
    answer = operator.post(url_of(prompt), sent(**wrong))
    text = text_of(answer)
    assert answer.status_code == 422
    assert message in text
    assert "Not saved yet" in text
    assert not prompt.versions.exists()
    assert answer.context["form"]["note"].value() == wrong.get("note", "Kinder")


def test_save__nothing_changed__says_so(operator: Client) -> None:
    prompt = make_prompt()
    operator.post(url_of(prompt), sent())
    answer = operator.post(url_of(prompt), sent(based_on="1"))
    assert "Nothing has changed" in text_of(answer)
    assert prompt.versions.count() == 1


def test_save__chat_without_messages__says_so(operator: Client) -> None:
    prompt = make_prompt(kind="chat")
    answer = operator.post(url_of(prompt), sent(template=""))
    assert "at least one message" in text_of(answer)


# -- two at once -----------------------------------------------------------------------


def test_save__somebody_was_faster__sees_who_and_what_and_keeps_the_words(
    operator: Client,
) -> None:
    prompt = make_prompt(versions=1)
    anna = services.PromptActor.from_user(User.objects.create_user("anna"))
    make_version(prompt, "Anna's words", actor=anna, note="Much better")
    answer = operator.post(url_of(prompt), sent(based_on="1"))
    text = text_of(answer)
    assert answer.status_code == 409
    assert "anna saved version 2 while you were writing" in text
    assert "Much better" in text
    assert "Say hello to {{name}}." in text
    changed = [bit.text for row in answer.context["sections"][0].rows for bit in row.right.bits]  # fmt: skip
    assert "Anna" in "".join(changed)
    assert prompt.versions.count() == 2
    # Seen, and saved again on top.
    assert answer.context["form"]["based_on"].value() == 2
    again = operator.post(url_of(prompt), sent(based_on="2"))
    assert again.status_code == 302
    assert prompt.versions.count() == 3


def test_save__based_on_a_version_that_is_not_there__still_explains(
    operator: Client,
) -> None:
    prompt = make_prompt(versions=2)
    answer = operator.post(url_of(prompt), sent(based_on="0"))
    assert answer.status_code == 409
    assert "saved version 2 while" in text_of(answer)


# -- preview -----------------------------------------------------------------------------


def preview(client: Client, prompt: Prompt, **fields: Any) -> str:
    answer = client.post(url_of(prompt, "preview"), sent(**fields))
    assert answer.status_code == 200
    return text_of(answer)


def test_preview__sample__is_put_in_once_and_as_it_is(operator: Client) -> None:
    prompt = make_prompt()
    row = columns(variable("name", sample="{{other}} <b>"))
    text = preview(operator, prompt, **row)
    assert "{{other}} &lt;b&gt;" in text
    assert "vp-missing" not in text


def test_preview__forty_hostile_samples__come_out_byte_for_byte(
    operator: Client,
) -> None:
    """T27 in the admin: shown as a model would get it, and nothing is evaluated."""
    prompt = make_prompt()
    for payload in PAYLOADS:
        text = preview(operator, prompt, **columns(variable("name", sample=payload)))
        found = re.search(
            r'<mark class="vp-value" title="name">(.*?)</mark>', text, re.S
        )
        assert found, payload
        assert html.unescape(found[1]) == payload


def test_preview__no_sample__default_or_a_gap(operator: Client) -> None:
    prompt = make_prompt()
    rows = columns(variable("a", left_out="default", default="usual"), variable("b"))
    text = preview(operator, prompt, template="{{a}} {{b}}", **rows)
    assert '<mark class="vp-default" title="a">usual</mark>' in text
    assert "Without a sample value: b." in text


def test_preview__included_prompt__its_words_and_its_defaults(operator: Client) -> None:
    inner = make_prompt("house.style")
    variables = [{"name": "tone", "default": "plain"}]
    make_version(inner, "Write {{tone}} words.", variables=variables)
    publish(inner, 1)
    prompt = make_prompt()
    for reference in ("house.style", "house.style@latest", "house.style@1"):
        text = preview(operator, prompt, template=f"{{{{> {reference}}}}} Go.")
        assert "from house.style, version 1" in text
        assert '<mark class="vp-default" title="tone">plain</mark>' in text


def test_preview__includes_itself__ends(operator: Client) -> None:
    prompt = make_prompt("loop", versions=1)
    PromptVersion.objects.create(
        prompt=prompt, number=2, template="{{> loop@2}}", author_name="x", digest="d"
    )
    text = preview(operator, prompt, template="{{> loop@2}}")
    assert "There is no prompt loop@2 to include" in text


def test_preview__odd_braces__are_pointed_out(operator: Client) -> None:
    text = preview(operator, make_prompt(), template="{{ two words }}")
    assert "is not a variable and is sent as it is" in text


def test_preview__wrong_rule__is_said(operator: Client) -> None:
    row = columns(variable("name", kind="schema", detail="{"))
    assert "be read as JSON" in preview(operator, make_prompt(), **row)


def test_preview__get_or_stranger__refused(operator: Client, newcomer: Client) -> None:
    prompt = make_prompt()
    assert operator.get(url_of(prompt, "preview")).status_code == 302
    assert newcomer.post(url_of(prompt, "preview"), sent()).status_code == 403


# -- compare -----------------------------------------------------------------------------


def test_compare__no_choice__live_against_newest(operator: Client) -> None:
    prompt = make_prompt(versions=3, live=2)
    answer = operator.get(url_of(prompt, "compare"))
    numbers = (answer.context["left"].number, answer.context["right"].number)
    assert numbers == (2, 3)
    assert "<ins> 3</ins>" in text_of(answer)


def test_compare__newest_is_live__with_the_one_before(operator: Client) -> None:
    prompt = make_prompt(versions=3, live=3)
    assert operator.get(url_of(prompt, "compare")).context["left"].number == 2


def test_compare__same_version__says_the_same(operator: Client) -> None:
    prompt = make_prompt(versions=2)
    answer = operator.get(url_of(prompt, "compare"), {"left": "1", "right": "1"})
    assert "The versions are identical" in text_of(answer)


@pytest.mark.parametrize("versions", [0, 1])
def test_compare__too_few__says_what_to_do(operator: Client, versions: int) -> None:
    prompt = make_prompt(versions=versions)
    text = text_of(operator.get(url_of(prompt, "compare")))
    assert "Nothing to compare yet" in text


def test_compare__no_such_version__not_found(operator: Client) -> None:
    prompt = make_prompt(versions=2)
    answer = operator.get(url_of(prompt, "compare"), {"left": "7"})
    assert answer.status_code == 404
