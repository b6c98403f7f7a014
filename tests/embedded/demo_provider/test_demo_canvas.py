"""The demo provider's tokens, words and canvases."""

import pytest

from valuecanvas.embedded.demo_provider import canvas, token_text
from valuecanvas.embedded.demo_provider.canvas import (
    BLOCKS,
    INDUSTRIES,
    key_words,
    subject,
)

TEXTS = [
    "",
    "Hello, world!",
    "  two  blanks\n\n\tand tabs \n",
    "snake_case __init__ 3.14 e-mail",
    "Grüße aus Köln — 日本語 🎉👩‍👩‍👧",
    "x" * 50,
    '{"a": [1, 2], "b": null}\r\n',
    "\x00\x1f\u2028\xa0",
]


@pytest.mark.parametrize("text", TEXTS)
def test_split__any_text__joins_back_exactly(text):
    pieces = token_text.split(text)
    assert "".join(pieces) == text
    assert token_text.count(text) == len(pieces)


def test_split__sentence__keeps_blanks_with_words():
    assert token_text.split("Hello, big world!") == [
        "Hello",
        ",",
        " big",
        " world",
        "!",
    ]


def test_split__wall_of_letters__is_not_one_token():
    assert token_text.split("x" * 30) == ["x" * 12, "x" * 12, "x" * 6]


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("Generate a business model canvas for a SaaS platform", "a SaaS platform"),
        ("Canvas for: my tea house. Be brief.", "my tea house"),
        ("A canvas for this business:\n\na bakery\n\nIndustry: food", "a bakery"),
        ("Make a canvas.\nBusiness idea: bike repair in Rome", "bike repair Rome"),
        ("A coffee roastery in Lisbon", "A coffee roastery in Lisbon"),
        ("canvas", "a new business"),
        ("", "a new business"),
        ("Please write a canvas, we sell violins, harps, flutes", "sell violins harps"),
        (f"canvas for {'very ' * 30}long things", "very very"),
        ("canvas for {{7*7}} <b>bold</b> shops", "bold shops"),
    ],
)
def test_subject__prompt__is_found(prompt, named):
    found = subject(prompt)
    assert found.startswith(named)
    assert 0 < len(found) <= 80
    assert not set("{}<>*#") & set(found)


def test_key_words__stop_words_and_repeats__are_left_out():
    assert key_words("The tea and the Tea of a garden") == ("tea", "garden")


def test_blocks__prompt__fills_all_nine_from_its_words():
    blocks = canvas.blocks("business model canvas for a bakery for hikers in Bern")
    assert tuple(blocks) == tuple(BLOCKS)
    assert len(blocks) == 9
    assert all(len(lines) == 3 for lines in blocks.values())
    assert "First of all hikers" in blocks["Customer Segments"]
    assert "Ingredients and rent" in blocks["Cost Structure"]
    assert "Running and improving a bakery" in blocks["Key Activities"]


def test_blocks__unknown_line_of_business__uses_general_phrases():
    blocks = canvas.blocks("canvas for a lighthouse")
    assert "Own website" in blocks["Channels"]
    assert "Setting up a lighthouse" in blocks["Cost Structure"]


def test_blocks__each__has_two_phrases_for_each_industry():
    for _, *phrases in BLOCKS.values():
        assert len(phrases) == len(INDUSTRIES)
        assert all(len(pair.split("; ")) == 2 for pair in phrases)
