"""Settings from the environment: declared, parsed, and refused when they are bad."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from valuecanvas import env
from valuecanvas.env import Setting

NAME = "VALUECANVAS_SOMETHING"


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the variable; whatever a test declares is forgotten afterwards."""
    monkeypatch.setattr(env, "DECLARED", {})
    monkeypatch.delenv(NAME, raising=False)
    return lambda value, suffix="": monkeypatch.setenv(NAME + suffix, value)


def test_text__unset_or_blank__is_the_default(put: Any) -> None:
    assert env.text(NAME, "What it is.", "x") == "x"
    put("  ")
    assert env.text(NAME, "What it is.") == ""
    assert {NAME: Setting(NAME, "What it is.", "", "text")} == env.DECLARED


def test_text__set__is_taken_without_the_blanks_around_it(put: Any) -> None:
    put(" y \n")
    assert env.text(NAME, "", "x") == "y"


def test_text__named_file__is_read_from_it(put: Any, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    put(str(path), "_FILE")
    assert env.text(NAME, "") == "s3cret"


def test_text__value_and_file__is_refused(put: Any, tmp_path: Path) -> None:
    put("a")
    put(str(tmp_path), "_FILE")
    with pytest.raises(ImproperlyConfigured, match="not both"):
        env.text(NAME, "")


def test_text__file_that_is_not_there__is_refused(put: Any, tmp_path: Path) -> None:
    put(str(tmp_path / "gone"), "_FILE")
    with pytest.raises(ImproperlyConfigured, match="cannot be read"):
        env.text(NAME, "")


@pytest.mark.parametrize("word", ["on", "TRUE", "1", "yes"])
def test_flag__word_for_yes__is_true(put: Any, word: str) -> None:
    put(word)
    assert env.flag(NAME, "", default=False) is True


@pytest.mark.parametrize("word", ["off", "False", "0", "no"])
def test_flag__word_for_no__is_false(put: Any, word: str) -> None:
    put(word)
    assert env.flag(NAME, "", default=True) is False


def test_flag__unset__is_the_default(put: Any) -> None:
    assert env.flag(NAME, "", default=True) is True
    assert env.flag(NAME, "", default=False) is False


@pytest.mark.parametrize(
    ("value", "number"), [("1", 1), ("10", 10), (" 7 ", 7), ("1_0", 10)]
)
def test_integer__in_its_bounds__is_taken(put: Any, value: str, number: int) -> None:
    put(value)
    assert env.integer(NAME, "", 5, low=1, high=10) == number


def test_number__in_its_bounds__is_taken(put: Any) -> None:
    assert env.number(NAME, "", 0.5, low=0, high=1) == 0.5
    put("1e-1")
    assert env.number(NAME, "", 0.5, low=0, high=1) == 0.1


def test_choice__in_other_case__is_taken(put: Any) -> None:
    assert env.choice(NAME, "", "a", ("a", "b")) == "a"
    put("B")
    assert env.choice(NAME, "", "a", ("a", "b")) == "b"


def test_words__with_commas__are_taken_apart(put: Any) -> None:
    assert env.words(NAME, "", "a") == ["a"]
    put("b, c ,,d")
    assert env.words(NAME, "") == ["b", "c", "d"]


def test_url__of_a_known_scheme__is_taken(put: Any) -> None:
    assert env.url(NAME, "", schemes=("https",)) == ""
    put("unix:///run/redis.sock")
    assert env.url(NAME, "", schemes=("redis", "unix")) == "unix:///run/redis.sock"


READERS: dict[str, Any] = {
    "flag": lambda: env.flag(NAME, "", default=True),
    "integer": lambda: env.integer(NAME, "", 5, low=1, high=10),
    "number": lambda: env.number(NAME, "", 0.5, low=0, high=1),
    "choice": lambda: env.choice(NAME, "", "a", ("a", "b")),
    "url": lambda: env.url(NAME, "", schemes=("https",)),
}
BAD = [
    ("flag", "maybe"),
    ("integer", "0"),
    ("integer", "11"),
    ("integer", "5.0"),
    ("integer", "five"),
    ("number", "-0.1"),
    ("number", "1.1"),
    ("number", "nan"),
    ("number", "inf"),
    ("number", "s3cret"),
    ("choice", "s3cret"),
    ("url", "s3cret"),
    ("url", "http://s3cret"),
    ("url", "https://"),
    ("url", "https://[s3cret"),
]


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_reader__bad_value__is_refused_by_name_and_never_shown(
    put: Any, kind: str, value: str
) -> None:
    put(value)
    with pytest.raises(ImproperlyConfigured) as caught:
        READERS[kind]()
    assert str(caught.value).startswith(f"{NAME} must be ")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("a=b", {"a": "b"}),
        (" x-key = k%3D1 ,, b=c=d", {"x-key": "k=1", "b": "c=d"}),
    ],
)
def test_pairs__in_order__are_taken_and_decoded(
    put: Any, text: str, found: dict[str, str]
) -> None:
    put(text)
    assert env.pairs(NAME, "") == found


@pytest.mark.parametrize(
    "text", ["a", "=b", "a=b,c", "a=b%0Ac: d", "a=\xe9", "a=%C3%A9"]
)
def test_pairs__that_make_no_headers__are_refused(put: Any, text: str) -> None:
    put(text)
    with pytest.raises(ImproperlyConfigured, match="name=value") as raised:
        env.pairs(NAME, "")
    assert str(raised.value).startswith(f"{NAME} must be pairs of plain text")
