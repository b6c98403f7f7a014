"""The reference is what the code says, and nothing that the code has is missing in it."""

import re

import pytest
from django.conf import settings

from tests.docs.reference import error_meanings, pages
from tests.docs.reference.source_codes import error_classes
from tests.test_architecture import ROOT, sources
from tests.test_metrics import metrics
from valuecanvas import env
from valuecanvas.core.errors import SERVER_CODES

# Sent to providers, and a prefix.
NOT_FOR_CALLERS = {"x-valuecanvas-attempt", "x-valuecanvas-"}


@pytest.mark.parametrize("name", pages.PAGES)
def test_reference__each_page__is_what_the_code_says(name: str) -> None:
    found = (pages.REFERENCE / name).read_text()
    assert found == pages.PAGES[name](), "Run 'make reference'."
    assert str(ROOT) not in found


def test_reference__its_folder__has_no_other_page() -> None:
    assert {path.name for path in pages.REFERENCE.iterdir()} == {*pages.PAGES}


def test_settings__all_that_the_source_reads__are_declared() -> None:
    pattern = re.compile(r"\benv\.[a-z_]+\(\s*[\"']([A-Z_]+)[\"']")
    read = {name for path in sources() for name in pattern.findall(path.read_text())}
    assert read <= env.DECLARED.keys()


def test_settings__read_again_without_a_sentence__keep_theirs() -> None:
    before = dict(env.DECLARED)
    env.text("VALUECANVAS_ENV", "", "embedded")
    assert before == env.DECLARED


def test_settings__all_that_are_declared__are_listed_with_a_sentence() -> None:
    text = pages.render_settings()
    for one in env.DECLARED.values():
        assert f"| `{one.name}` | {one.wants} |" in text, one.name
        assert one.help.endswith("."), one.name


def test_settings__their_defaults_in_the_example__are_those_of_the_code() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    told = dict(line.lstrip("#").split("=", 1) for line in lines if "=" in line)
    for one in env.DECLARED.values():
        # Text for people is the default where everything runs on one machine.
        assert one.name == "LOG_FORMAT" or told[one.name] == one.default, one.name


def test_metrics__all__have_a_sentence() -> None:
    for one in metrics():
        assert one.help.endswith("."), one.name


def test_errors__codes_in_the_source__have_a_meaning_and_no_others_do() -> None:
    assert error_meanings.meanings().keys() == error_meanings.sent_codes().keys()
    assert error_meanings.sent_codes().keys() >= SERVER_CODES
    assert len(error_classes()) > 20


def test_headers__all_that_the_source_names__are_listed() -> None:
    pattern = re.compile(r"[\"']((?:x-valuecanvas|x-ratelimit)-[a-z-]*)[\"']")
    named = {name for path in sources() for name in pattern.findall(path.read_text())}
    listed = settings.REQUEST_HEADERS.keys() | settings.RESPONSE_HEADERS.keys()
    assert len(named) > 10
    assert named - NOT_FOR_CALLERS <= listed
    assert listed <= {
        *settings.CORS_ALLOW_HEADERS,
        *settings.CORS_EXPOSE_HEADERS,
    }


def test_commands__their_arguments__have_a_help() -> None:
    for name, command in pages.our_commands().items():
        assert command.help.endswith("."), name
        for argument, text in pages.describe_arguments(command, name):
            assert text, f"{name} {argument}"
