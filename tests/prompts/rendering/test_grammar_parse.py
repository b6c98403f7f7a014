"""What is a variable, what an inclusion, and what just words."""

import random
import time

import pytest

from prompts.rendering.grammar import (
    Reference,
    Template,
    Variable,
    is_name,
    oddities,
    parse,
)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("{{name}}", (Variable("name"),)),
        ("{{ name }}", (Variable("name"),)),
        ("{{\tname }}!", (Variable("name"), "!")),
        ("a{{x}}b{{x}}", ("a", Variable("x"), "b", Variable("x"))),
        ("{{user.name}}", (Variable("user.name"),)),
        ("{{_a-b.c1}}", (Variable("_a-b.c1"),)),
        ("{{{x}}}", ("{", Variable("x"), "}")),
        ("{{> a.b}}", (Reference("a.b"),)),
        ("{{>a.b@staging}}", (Reference("a.b", "staging"),)),
        ("{{> a-b_c@3 }}", (Reference("a-b_c", "3"),)),
        (f"{{{{{'n' * 64}}}}}", (Variable("n" * 64),)),
    ],
)
def test_parse__what_has_a_meaning__is_found(text, pieces):
    assert parse(text).pieces == pieces


@pytest.mark.parametrize(
    "text",
    [
        "{{7*7}}", "{{ a b }}", "{{x|upper}}", "{{x()}}", "{{x[0]}}", "{{ünï}}",
        "{{1a}}", "{{}}", "{{ }}", "{ {x} }", "{x}", "${x}", "{{x", "x}}", "{{\nx}}",
        "{{#if x}}", "{{/if}}", "{{! note }}", "{{&x}}", "{% debug %}", "{{> }}",
        "{{> A.b}}", "{{> a..b}}", "{{> a.b@}}", "{{> a.b @x}}", "{{< a}}",
        f"{{{{{'n' * 65}}}}}",
    ],
)  # fmt: skip
def test_parse__anything_else_in_braces__is_literal(text):
    assert parse(text).pieces == (text,)
    assert parse(text).render({}) == text


def test_template__names_and_references__are_told_once_in_order():
    found = parse("{{b}} {{a}} {{b}} {{> x@s}} {{> y}} {{> x@s}}")

    assert found.names == ("b", "a")
    assert found.references == (Reference("x", "s"), Reference("y"))


def test_reference__digits__are_a_version():
    assert Reference("x", "12").version == 12
    assert Reference("x", "v12").version is None
    assert Reference("x").version is None
    assert [str(Reference("x")), str(Reference("x", "s"))] == ["x", "x@s"]


def test_render__values_with_tags__are_not_looked_at_again():
    values = {"a": "{{b}}", "b": "{{a}}{{> x@production}}"}

    assert parse("{{a}}-{{b}}").render(values) == "{{b}}-{{a}}{{> x@production}}"


def test_render__without_a_value__raises():
    with pytest.raises(KeyError):
        parse("{{a}}").render({})


def test_render__a_reference_left__raises():
    with pytest.raises(TypeError, match="x@s is not expanded"):
        parse("{{> x@s}}").render({})


def test_expand__references__become_the_pieces_of_their_templates():
    inner = parse("in {{n}}")
    outer = parse("out {{> x}} {{n}}")

    found = outer.expand({Reference("x"): inner})

    assert found.render({"n": "1"}) == "out in 1 1"
    assert inner.expand({}) is inner
    assert outer.expanded_size({Reference("x"): inner}) == len("out in n n")


def test_parse__random_text__gives_it_back_when_names_stand_for_themselves():
    rng = random.Random(20261123)
    parts = [
        "{{",
        "}}",
        "{",
        "}",
        "a",
        "b.c",
        " ",
        "\t",
        "\n",
        ">",
        "@",
        "é",
        "😀",
        "\\",
    ]
    for _ in range(5000):
        text = "".join(rng.choices(parts, k=rng.randrange(30)))
        found = parse(text)
        if found.references:
            continue
        tidy = "".join(
            one if isinstance(one, str) else f"{{{{{one}}}}}" for one in found.pieces
        )
        assert parse(tidy) == Template(found.pieces)
        same = {name: f"{{{{{name}}}}}" for name in found.names}
        assert found.render(same) == tidy


def test_parse__hostile_text__takes_time_in_proportion():
    def spent(size: int) -> float:
        started = time.process_time()
        for text in ("{{", "{{ ", "{{a", "{{> a", "{{> a.", "{{ >", "{{>a@"):
            parse(text * size)
            oddities(text * size)
        return time.process_time() - started

    spent(1000)
    assert spent(40_000) < 100 * max(spent(2_000), 0.001)


def test_oddities__near_misses__are_named():
    text = "{{ok}} {{> ok.too}} {{user name}} {{x|y}} {{user name}} {single}"

    assert oddities(text) == ("{{user name}}", "{{x|y}}")


@pytest.mark.parametrize("name", ["a", "_", "aB9", "a.b-c", "n" * 64])
def test_name__good_ones__are_names(name):
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "1", "a b", "a\n", "é", "-a", ".a", "n" * 65])
def test_name__others__are_none(name):
    assert not is_name(name)
