"""What a version says: variables put in once, other prompts included, limits kept."""

import random

import pytest

from prompts.config import read_words
from prompts.rendering.render import (
    DEEPEST,
    BrokenPrompt,
    RenderedPrompt,
    choose,
    render,
)
from tests.prompts.payloads import PAYLOADS
from tests.prompts.shelf import library, prompt, version
from valuecanvas.core.errors import InvalidRequest


def said(shelf, variables=None, key="p") -> RenderedPrompt:
    chosen = choose(shelf, key, subject="ann", context={})
    return render(shelf, chosen, variables or {})


def broken(*prompts, key="p") -> str:
    with pytest.raises(BrokenPrompt) as caught:
        said(library(*prompts), key=key)
    assert (caught.value.status, caught.value.code) == (500, "prompt_broken")
    return caught.value.message


def test_payloads__there__are_forty():
    assert len(set(PAYLOADS)) == 40


@pytest.mark.parametrize("payload", PAYLOADS)
def test_render__a_hostile_value__comes_out_byte_for_byte(payload):
    other = prompt("other", version(1, "SECRET {{x}}"))
    text = prompt("p", version(1, "<{{x}}|{{y}}|{{x}}>"))
    rows = [{"role": "system", "content": "s"}, {"role": "user", "content": "{{x}}"}]
    chat = prompt("c", version(1, rows), kind="chat")
    shelf = library(text, chat, other)

    found = said(shelf, {"x": payload, "y": "{{x}}"})
    talk = said(shelf, {"x": payload}, key="c")

    assert found.text == f"<{payload}|{{{{x}}}}|{payload}>"
    assert talk.messages[1]["content"].encode() == payload.encode()


def test_render__a_text_prompt__is_one_message_of_the_user():
    shelf = library(
        prompt("p", version(1, "Hi {{n}}", model="m", parameters={"temperature": 0.2}))
    )

    assert said(shelf, {"n": "Ann"}) == RenderedPrompt(
        [{"role": "user", "content": "Hi Ann"}], "Hi Ann", "m", {"temperature": 0.2}
    )


def test_render__a_chat_prompt__keeps_its_roles_and_has_no_text():
    rows = [
        {"role": "system", "content": "Be {{tone}}."},
        {"role": "user", "content": "{{q}}"},
    ]
    shelf = library(prompt("p", version(1, rows), kind="chat"))

    found = said(shelf, {"tone": "dry", "q": "Why?"})

    assert found.messages == [
        {"role": "system", "content": "Be dry."},
        {"role": "user", "content": "Why?"},
    ]
    assert (found.text, found.model, found.parameters) == (None, None, {})


def test_render__an_unused_declaration__is_still_taken():
    words = version(1, "Hi", declared=[{"name": "old", "default": ""}])

    assert said(library(prompt("p", words)), {"old": "x"}).text == "Hi"


def test_render__missing_and_unknown__are_named():
    with pytest.raises(InvalidRequest) as caught:
        said(library(prompt("p", version(1, "{{a}} {{b}}"))), {"a": "1", "c": "2"})

    assert caught.value.extra == {"missing": ["b"], "unknown": ["c"]}


def test_render__random_templates_and_values__is_one_pass_of_replacing():
    rng = random.Random(20261124)
    # Of these no name can come about by chance.
    literal = ["{", "}", " ", "7*7", "\n", "é", "{%", "%}", "$", "\\"]
    hostile = [*literal, "{{a}}", "{{b}}", "{{> p}}"]
    for _ in range(2000):
        drawn = rng.choices(["{{a}}", "{{ b\t}}", *literal], k=rng.randrange(12))
        values = {name: "".join(rng.choices(hostile, k=4)) for name in "ab"}
        asked = {one.name for one in read_words("".join(drawn), [], [], {}).declared}
        shelf = library(prompt("p", version(1, "".join(drawn))))

        found = said(shelf, {name: values[name] for name in asked})

        stand_for = {"{{a}}": values["a"], "{{ b\t}}": values["b"]}
        assert found.text == "".join(stand_for.get(one, one) for one in drawn)


# -- prompts inside prompts -----------------------------------------------------------


def test_include__by_label_version_or_none__gives_that_version():
    tone = prompt(
        "tone",
        version(1, "one"),
        version(2, "two"),
        version(3, "three"),
        labels={"production": 2, "old": 1},
    )
    outer = prompt(
        "p", version(1, "{{> tone}} {{> tone@old}} {{> tone@3}} {{> tone@latest}}")
    )

    assert said(library(tone, outer)).text == "two one three three"


def test_include__variables_of_both__are_asked_for_and_the_outer_declares():
    inner = version(1, "{{who}} {{size}}", declared=[{"name": "who"}, {"name": "size", "default": "big"}])  # fmt: skip
    outer = version(1, "{{> in}} {{what}}", declared=[{"name": "who", "default": "Ann"}])  # fmt: skip
    shelf = library(prompt("in", inner), prompt("p", outer))

    assert said(shelf, {"what": "x"}).text == "Ann big x"
    with pytest.raises(InvalidRequest, match="Missing prompt variable: 'what'"):
        said(shelf, {"size": "s"})


def test_include__in_a_chat_message__stands_in_its_place():
    rows = [{"role": "system", "content": "A {{> in}} B"}, {"role": "user", "content": "{{> in}}"}]  # fmt: skip
    shelf = library(
        prompt("in", version(1, "-{{x}}-")), prompt("p", version(1, rows), kind="chat")
    )

    found = said(shelf, {"x": "{{> in}}"}).messages

    assert [one["content"] for one in found] == ["A -{{> in}}- B", "-{{> in}}-"]


def test_include__the_same_library__puts_it_together_once():
    shelf = library(prompt("in", version(1, "x")), prompt("p", version(1, "{{> in}}")))
    facts = shelf.prompts["p"]

    first = shelf.body(facts, facts.versions[1])

    assert shelf.body(facts, facts.versions[1]) is first


def chain(length: int):
    links = [
        prompt(f"p{at}", version(1, f"{at} {{{{> p{at + 1}}}}}"))
        for at in range(length)
    ]
    return [*links, prompt(f"p{length}", version(1, "end"))]


def test_include__as_deep_as_may_be__works():
    shelf = library(*chain(DEEPEST))

    assert said(shelf, key="p0").text == "0 1 2 3 4 end"


def test_include__one_deeper__is_broken():
    assert "nested more than 5 deep" in broken(*chain(DEEPEST + 1), key="p0")


def test_include__in_a_circle__is_broken():
    first = prompt("p", version(1, "{{> q}}"))
    second = prompt("q", version(1, "{{> p}}"))
    itself = prompt("p", version(1, "x"), version(2, "{{> p@1}}"))

    assert "itself (p -> q -> p)" in broken(first, second)
    assert "itself (p -> p)" in broken(itself)


def test_include__what_is_not_there__is_broken_and_says_what():
    outer = prompt("p", version(1, "{{> in@x}}"))
    pinned = prompt("p", version(1, "{{> in@9}}"))
    inner, chat = prompt("in", version(1, "x")), prompt("in", version(1), kind="chat")

    assert "includes in@x. There is no prompt 'in'." in broken(outer)
    assert "has the label 'x'" in broken(outer, inner)
    assert "has no version 9" in broken(pinned, inner)
    assert "archived" in broken(outer, prompt("in", version(1), archived=True))
    assert "not a text prompt" in broken(prompt("p", version(1, "{{> in}}")), chat)


def test_render__a_long_value_in_many_places__is_refused_before_it_is_made():
    shelf = library(prompt("p", version(1, "{{x}}" * 300)))

    assert len(said(shelf, {"x": "y" * 6000}).messages[0]["content"]) == 1_800_000
    with pytest.raises(InvalidRequest, match="2,000,000 characters") as caught:
        said(shelf, {"x": "y" * 1_000_000})
    assert caught.value.code == "prompt_too_long"
    # A value that is long by itself, as a body may be, stands once.
    once = library(prompt("p", version(1, "{{x}}")))
    assert len(said(once, {"x": "y" * 5_000_000}).messages[0]["content"]) == 5_000_000


def test_include__tenfold_of_tenfold__is_broken_before_it_is_made():
    links = [
        prompt(f"p{at}", version(1, f"{{{{> p{at + 1}}}}}" * 100)) for at in range(5)
    ]
    end = prompt("p5", version(1, "x" * 100))

    assert "1,000,000 characters" in broken(*links, end, key="p0")


def test_include__all_of_the_next_level__is_put_together_once_each():
    """Without a memory this would be 60 to the fifth, and never end."""
    links = [
        prompt(
            f"p{level}-{at}",
            version(1, "".join(f"{{{{> p{level + 1}-{n}}}}}" for n in range(60))),
        )
        for level in range(5)
        for at in range(60)
    ]
    ends = [prompt(f"p5-{at}", version(1, "x" * 50)) for at in range(60)]

    assert "1,000,000 characters" in broken(*links, *ends, key="p0-0")
    assert said(library(*links, *ends), key="p3-0").text == "x" * 50 * 60 * 60
