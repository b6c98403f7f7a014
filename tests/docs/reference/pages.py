"""The reference of the documentation, rendered from the code."""

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from billing.models.api_key import SCOPE_RIGHTS, Scope
from tests.docs.reference.error_meanings import meanings, sent_codes
from tests.docs.reference.source_codes import find_events
from tests.test_architecture import APPS, ROOT
from tests.test_metrics import metrics
from valuecanvas import env
from valuecanvas.core.errors import SERVER_CODES
from valuecanvas.site.people.ready_groups import READY_GROUPS

REFERENCE = ROOT / "docs" / "reference"
# Names as documents spell them.
SPELLINGS = {"etag": "ETag", "traceparent": "traceparent", "ratelimit": "RateLimit", "ratelimit-policy": "RateLimit-Policy"}  # fmt: skip


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [[*head], ["---"] * len([*head]), *([*row] for row in rows)]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |".replace("  ", " ") for line in cells)


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def page(title: str, about: str, *parts: str) -> str:
    written = "Written by `make reference` from the code."
    return "\n\n".join([f"# {title}", f"{about} {written}", *parts]) + "\n"


def render_settings() -> str:
    """By area, as .env.example has them."""
    parts = []
    text = (ROOT / ".env.example").read_text()
    for section in text.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        lines = re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", body, re.MULTILINE)
        rows = [
            (
                code(name),
                env.DECLARED[name].wants,
                code(default),
                env.DECLARED[name].help,
            )
            for name, default in lines
        ]
        parts += [f"## {heading}", table(("Setting", "Takes", "Default", "For"), rows)]
    about = (
        "Environment variables, read from `.env` too; each may also be `NAME_FILE`, the "
        "path of a file that holds the value. A value that makes no sense stops the start."
    )
    return page("Settings", about, *parts)


def render_metrics() -> str:
    rows = [
        (code(one.name), one.type, ", ".join(one.labels), one.help)
        for one in sorted(metrics())
    ]
    about = (
        "What `/metrics` has of ValueCanvas' own. Who may read it, and what the figures "
        "mean together: [Metrics](../OBSERVABILITY.md#metrics)."
    )
    return page("Metrics", about, table(("Metric", "Type", "Labels", "What"), rows))


def render_headers() -> str:
    def rows(found: Mapping[str, str]) -> list[tuple[str, str]]:
        return [(code(spell(name)), text) for name, text in found.items()]

    head = ("Header", "Meaning")
    return page(
        "Headers",
        "What the gateway reads of a request, and tells with an answer.",
        "## Of requests",
        table(head, rows(settings.REQUEST_HEADERS)),
        "## Of answers",
        table(head, rows(settings.RESPONSE_HEADERS)),
    )


def spell(name: str) -> str:
    if name in SPELLINGS or name.startswith("x-"):
        return SPELLINGS.get(name, name)
    return name.title()


def render_errors() -> str:
    told, rows = meanings(), []
    for name, kinds in sent_codes().items():
        statuses = sorted({str(kind.status) for kind in kinds})
        types = sorted({kind.type for kind in kinds})
        cells = (", ".join(statuses), code(", ".join(types)), *told.get(name, ("", "")))
        rows.append((code(name), *cells))
    about = (
        "The `code` of an error's body, with its HTTP status and `type`. Codes without a "
        "status are those of jobs, of lines of a batch, and of events in a stream. A "
        "provider's refusal of a request is passed on with its own code."
    )
    ours = ", ".join(code(name) for name in sorted(SERVER_CODES))
    return page(
        "Error codes",
        about,
        table(("Code", "Status", "Type", "Meaning", "What helps"), rows),
        f"Counted as errors of the service, not of callers: {ours}.",
    )


def our_commands() -> dict[str, BaseCommand]:
    found = get_commands().items()
    ours = {name: app for name, app in found if str(app).partition(".")[0] in APPS}
    return {name: load_command_class(str(ours[name]), name) for name in sorted(ours)}


def render_commands() -> str:
    parts = []
    for name, command in our_commands().items():
        rows = [
            (code(argument), text)
            for argument, text in describe_arguments(command, name)
        ]
        parts += [f"## {name}", command.help]
        parts += [table(("Argument", "Meaning"), rows)] if rows else []
    about = "Each is `python manage.py NAME`; `--help` tells the same."
    return page("Commands", about, *parts)


def describe_arguments(command: BaseCommand, name: str) -> list[tuple[str, str]]:
    """Each argument but those of every command, and what it means."""
    usual = {one.dest for one in BaseCommand().create_parser("manage.py", "x")._actions}
    return _describe(command.create_parser("manage.py", name), usual)


def _describe(
    parser: argparse.ArgumentParser, usual: set[str], act: str = ""
) -> list[tuple[str, str]]:
    found = []
    for one in parser._actions:
        if isinstance(one, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in one._choices_actions}
            for name, below in one.choices.items():
                found.append((name, helps[name]))
                found += _describe(below, usual, f"{name} ")
        elif one.dest not in usual:
            found.append((act + _spell_argument(one), _help(parser, one)))
    return found


def _spell_argument(action: argparse.Action) -> str:
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
    value = action.metavar or choices or action.dest.upper()
    if not action.option_strings:
        return str(action.metavar or action.dest)
    takes = "" if action.nargs == 0 else f" {value}"
    return ", ".join(action.option_strings) + takes


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    return " ".join(text.split())


def render_events() -> str:
    rows = [
        (
            code(name),
            ", ".join(sorted(told["levels"])),
            ", ".join(sorted(told["fields"])),
        )
        for name, told in sorted(find_events().items())
    ]
    about = (
        "The lines of the logs by their `event`. What all lines have, and what none has: "
        "[Logs](../OBSERVABILITY.md#logs)."
    )
    return page(
        "Log events", about, table(("Event", "Level", "Fields of its own"), rows)
    )


def render_rights() -> str:
    scopes = [
        (
            code(one.value),
            str(one.label),
            ", ".join(map(code, SCOPE_RIGHTS.get(one, ()))),
        )
        for one in Scope
    ]
    groups = [
        (one.name, one.sentence, ", ".join(map(code, sorted(set(one.rights)))))
        for one in READY_GROUPS
    ]
    return page(
        "Scopes and rights",
        "What a key may do, and what the ready groups of people may.",
        "## Scopes of API keys",
        table(("Scope", "Lets the key", "Rights that its issuer needs"), scopes),
        "## Ready groups",
        table(("Group", "What for", "Rights"), groups),
    )


PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "SETTINGS.md": render_settings,
        "METRICS.md": render_metrics,
        "HEADERS.md": render_headers,
        "ERRORS.md": render_errors,
        "COMMANDS.md": render_commands,
        "LOG_EVENTS.md": render_events,
        "SCOPES.md": render_rights,
    }
)
