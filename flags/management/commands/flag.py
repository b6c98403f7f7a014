"""`manage.py flag`: lists, shows, creates, changes and deletes flags."""

import datetime as dt
from typing import Any

import orjson
import yaml
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from flags import services
from flags.actor import COMMAND
from flags.documents import document
from flags.models import Flag, FlagKind
from flags.wording import listing
from flags.wording.field_changes import change_lines
from valuecanvas.core.transfer import yaml_io
from valuecanvas.core.transfer.commands import field_errors

# --set takes this besides the fields of an edit.
KILLED = "killed"


class Command(BaseCommand):
    help = (
        "List flags; show, create, change or delete one. Prints one line per changed "
        "field; with -v 2, also the whole flag as YAML."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        fields = ", ".join(sorted(document.EDITABLE))
        parser.add_argument("name", nargs="?", help="The flag.")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--list", action="store_true", help="All flags.")
        what.add_argument("--create", action="store_true", help="Create it.")
        what.add_argument("--delete", action="store_true", help="Delete it for good.")
        what.add_argument("--show", action="store_true", help="All of it, as YAML.")
        parser.add_argument("--expired", action="store_true", help="Only expired ones.")
        parser.add_argument(
            "--kind",
            default=FlagKind.BOOLEAN,
            choices=FlagKind.values,
            help="Of a new flag. Default: %(default)s.",
        )
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            help="Repeat it for each field; values as in YAML: percent=25, enabled=off, "
            f"'tiers=[pro]', killed=on. Fields: {fields}, {KILLED}.",
        )
        parser.add_argument("--reason", default="", help="Why; kept in the audit.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"] or options["name"] is None:
            self._list(options)
            return
        changes = dict(_change(text) for text in options["set"])
        try:
            self._act(options, changes)
        except ValidationError as error:
            raise CommandError(field_errors(error)) from error

    def _act(self, options: dict[str, Any], changes: dict[str, Any]) -> None:
        name, reason = options["name"], options["reason"]
        if options["create"]:
            flag = _created(name, options["kind"], changes, reason)
            self._print(flag, ["new"], options)
            return
        flag = _flag(name)
        if options["delete"]:
            services.delete_flag(flag, actor=COMMAND, reason=reason)
            self.stdout.write(f"{name}: deleted")
        elif changes:
            before = document.state(flag)
            flag = _changed(flag, changes, reason)
            lines = change_lines(before, document.state(flag)) or ["unchanged"]
            self._print(flag, lines, options)
        else:
            self._print(flag, [], options)

    def _print(self, flag: Flag, lines: list[str], options: dict[str, Any]) -> None:
        """Print the changes and the state, or the whole flag if the options ask for it."""
        if options["json"]:
            self._json(document.state(flag))
            return
        if not options["show"]:
            for line in lines:
                self.stdout.write(f"{flag.name}: {line}")
            self.stdout.write(_line(flag, timezone.now().date()))
        if options["show"] or options["verbosity"] > 1:
            self.stdout.write(yaml_io.dump(document.state(flag)), ending="")

    def _list(self, options: dict[str, Any]) -> None:
        today = timezone.now().date()
        flags = list(document.with_parts(Flag.objects.order_by("name")))
        if options["expired"]:
            flags = [one for one in flags if listing.is_expired(one, today)]
        if options["json"]:
            self._json([document.state(one) for one in flags])
            return
        width = max((len(one.name) for one in flags), default=0)
        for one in flags:
            self.stdout.write(_line(one, today, width))

    def _json(self, found: Any) -> None:
        self.stdout.write(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())


def _line(flag: Flag, today: dt.date, width: int = 0) -> str:
    rules = len(flag.rules.all())
    parts = [f"{flag.name:<{width}}", f"{flag.kind:<7}", listing.state(flag, today)]
    if rules:
        parts.append(f"{rules} rule{'s' if rules > 1 else ''}")
    if flag.expires_on:
        parts.append(f"until {flag.expires_on:%Y-%m-%d}")
    return "  ".join(parts)


def _flag(name: str) -> Flag:
    flag: Flag | None = Flag.objects.filter(name=name).first()
    if flag is None:
        raise CommandError(f"There is no flag '{name}'.")
    return flag


def _change(text: str) -> tuple[str, Any]:
    field, mark, value = text.partition("=")
    if not mark:
        raise CommandError(f"'{text}' is not FIELD=VALUE.")
    try:
        read = yaml_io.load(value)
    except yaml.YAMLError as error:
        raise CommandError(f"'{value}' is not a value: {error}") from error
    return field, read.isoformat() if isinstance(read, dt.date) else read


def _created(name: str, kind: str, changes: dict[str, Any], reason: str) -> Flag:
    wanted = {"name": name, "kind": kind, **changes}
    killed = wanted.pop(KILLED, False)
    flag = services.create_flag(wanted, actor=COMMAND, reason=reason)
    return services.kill(flag, actor=COMMAND, reason=reason) if killed else flag


def _changed(flag: Flag, changes: dict[str, Any], reason: str) -> Flag:
    killed = changes.pop(KILLED, None)
    if changes:
        flag = services.edit_flag(flag, changes, actor=COMMAND, reason=reason)
    if killed is not None:
        act = services.kill if killed else services.revive
        flag = act(flag, actor=COMMAND, reason=reason)
    return flag
