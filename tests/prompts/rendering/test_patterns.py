"""Patterns of schemas: linear, weighed with their counts, and told apart by what is wrong."""

import pytest

from prompts.rendering import patterns
from prompts.rendering.patterns import BadPattern, compile_pattern


def refusal(pattern: str) -> str:
    with pytest.raises(BadPattern) as caught:
        compile_pattern(pattern)
    return str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("b+", "abbc", True),
        ("^b", "abbc", False),
        (r"^\S+@\S+\.\S+$", "ann@example.com", True),
        (r"^[^<>]*$", "a<b", False),
        (r"^\(?\d{3}\)?$", "(123)", True),
        (r"[(\]]?x", "x", True),
        ("a{0}b", "b", True),
        (r"^\p{L}+$", "Åsa", True),
        ("^(?P<a>x)(?<b>y)(?:z)$", "xyz", True),
        ("^a{2}{3}$", "aaaaaa", True),
    ],
)
def test_found__as_json_schema_means_it__is_anywhere(pattern, text, found):
    assert compile_pattern(pattern).matches(text) is found


# With an engine that backtracks, the first would take longer than the world stands.
@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|aa)*$b", "(a*)*(a*)*c", "a?" * 400])
def test_found__in_what_makes_others_backtrack__takes_few_steps(pattern):
    pattern, text = compile_pattern(pattern), "a" * 100_000 + "!"

    assert pattern.steps(text) < 100_000
    pattern.matches(text)


def test_steps__of_a_longer_text__grow_in_proportion():
    pattern = compile_pattern(r"\w{20}x")

    assert pattern.steps("é" * 20_000) < 2.1 * pattern.steps("é" * 10_000)


@pytest.mark.parametrize(
    ("pattern", "weight"),
    [
        ("abc", 3),
        ("a{3}", 3),
        ("a{2,}", 2),
        ("a{1,9}", 9),
        ("(a{10}){10}", 110),
        ("((a{10}){10}){10}", 1_110),
        ("a{10}*{10}", 101),
        ("(a|b)+", 5),
        (r"\d", 100),
        (r"[\d-]", 120),
        (".{3}", 60),
    ],
)
def test_weight__of_counts__is_as_if_written_out(pattern, weight):
    assert compile_pattern(pattern).weight == weight


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "is not understood"),
        ("a)", "is not understood"),
        ("[a", "is not understood"),
        ("a\\", "is not understood"),
        ("x{,5}", "write counts as in"),
        ("(?i)a", "flags are not supported"),
        ("(?x)(a+) +", "flags are not supported"),
        ("(a+)(?#)+", "flags are not supported"),
        ("(?<=a)b", "look-behind"),
        ("(?P=a)", "look-behind"),
        ("([[x])]a){1000}", "write '\\['"),
        ("((((a){99}){99}){99}){99}", "too large"),
        (r"\w{999}", "too large"),
        ("a" * (patterns.LONGEST + 1), "more than 1,000 characters"),
    ],
)
def test_compiled__what_is_not_supported__says_why(pattern, why):
    assert why in refusal(pattern)
