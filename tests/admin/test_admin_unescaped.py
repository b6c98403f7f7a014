"""What the theme prints unescaped: each place is known, and no text from outside gets there."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import unfold
from django.contrib import admin
from django.template import TemplateDoesNotExist
from django.template.loader import get_template, render_to_string
from django.test import Client
from django.urls import reverse
from django.utils.safestring import mark_safe

HERE = Path(__file__).resolve().parents[2]
THEME = Path(unfold.__file__).parent
UNESCAPED = re.compile(r"\|\s*safe\b|autoescape\s+off|safeseq")
# Of the theme's templates that are used. Both print words of our own code alone.
KNOWN = {"admin/includes/fieldset.html", "unfold/helpers/app_list.html"}
# For a form library that is not installed.
UNUSED = "unfold_crispy/"
HTML = "<b x-init=bad()>"


def _source(name: str) -> str:
    template: Any = get_template(name)
    return Path(template.origin.name).read_text()


def sources() -> dict[str, str]:
    """Of the theme's templates that can be used; ours stand before the theme's."""
    found: dict[str, str] = {}
    for path in THEME.rglob("templates/**/*.html"):
        name = str(path).rpartition("/templates/")[2]
        if name.startswith(UNUSED):
            continue
        with suppress(TemplateDoesNotExist):  # of an app that is not installed
            found[name] = _source(name)
    return found


def test_theme__what_it_prints_unescaped__is_known_here() -> None:
    found = {name for name, text in sources().items() if UNESCAPED.search(text)}
    assert found == KNOWN


@pytest.mark.parametrize("app", ["templates", "valuecanvas", "llm", "prompts", "flags", "billing"])  # fmt: skip
def test_our_templates__anything__is_escaped(app: str) -> None:
    for path in (HERE / app).rglob("*.html"):
        assert not UNESCAPED.search(path.read_text()), path


@pytest.mark.parametrize("app", ["valuecanvas", "llm", "prompts", "flags", "billing"])
def test_our_code__anything__is_marked_safe_by_format_html_alone(app: str) -> None:
    for path in (HERE / app).rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"mark_safe|SafeString|SafeText|html_safe", text), path
        assert not re.search(r"format_html\(\s*f[\"']", text), path


def test_fieldsets__their_descriptions__are_words_without_markup() -> None:
    """The theme prints them unescaped."""
    for one in admin.site._registry.values():
        for _, options in one.fieldsets or ():
            assert "<" not in str(options.get("description", "")), one


@pytest.mark.parametrize(
    ("text", "shown"),
    [(HTML, "&lt;b x-init=bad()&gt;"), (mark_safe("<i>ours</i>"), "<i>ours</i>")],
)
def test_help_text__markup__is_shown_as_text_unless_django_made_it(
    text: str, shown: str
) -> None:
    page = render_to_string("unfold/helpers/help_text.html", {"help_text": text})
    assert shown in page


def test_help_text__of_django__is_still_a_list(boss: Client) -> None:
    text = boss.get(reverse("account_change_password")).content.decode()
    assert "<li>Your password must contain at least" in text
