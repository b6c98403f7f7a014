"""Look at flags, make, change and delete them."""

import datetime as dt
from typing import Any

import orjson
import yaml
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from flags import document, listing, services
from flags.actor import COMMAND
from flags.models import Flag, Kind

# What --set takes besides the fields of an edit.
KILLED = "killed"


class Command(BaseCommand):
    help = "List flags; show, make, change or delete one."

    def add_arguments(self, parser: CommandParser) -> None:
        fields = ", ".join(sorted(document.EDITABLE))
        parser.add_argument("name", nargs="?", help="The flag.")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--list", action="store_true", help="All flags.")
        what.add_argument("--create", action="store_true", help="Make it.")
        what.add_argument("--delete", action="store_true", help="Delete it for good.")
        parser.add_argument("--expired", action="store_true", help="List only those.")
        parser.add_argument("--kind", default=Kind.BOOLEAN, choices=Kind.values)
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            help="Again for each field; values as in YAML: percent=25, enabled=off, "
            f"'tiers=[pro]', killed=on. Fields: {fields}, {KILLED}.",
        )
        parser.add_argument("--reason", default="", help="For the audit.")
        parser.add_argument("--json", action="store_true", help="For programs.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"] or options["name"] is None:
            self._list(options)
            return
        changes = dict(_change(text) for text in options["set"])
        try:
            self._act(options, changes)
        except ValidationError as error:
            raise CommandError(_told(error)) from error

    def _act(self, options: dict[str, Any], changes: dict[str, Any]) -> None:
        name, reason = options["name"], options["reason"]
        if options["create"]:
            wanted = {"name": name, "kind": options["kind"], **changes}
            killed = wanted.pop(KILLED, False)
            flag = services.create_flag(wanted, actor=COMMAND, reason=reason)
            changes = {KILLED: True} if killed else {}
        else:
            flag = _flag(name)
        if options["delete"]:
            services.delete_flag(flag, actor=COMMAND, reason=reason)
            self.stdout.write(f"Deleted {name}.")
            return
        self._show(_changed(flag, changes, reason), as_json=options["json"])

    def _list(self, options: dict[str, Any]) -> None:
        today = timezone.now().date()
        flags = list(document.with_parts(Flag.objects.order_by("name")))
        if options["expired"]:
            flags = [one for one in flags if listing.is_expired(one, today)]
        if options["json"]:
            rows = [document.state(one) for one in flags]
            self.stdout.write(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
            return
        width = max((len(one.name) for one in flags), default=0)
        for one in flags:
            self.stdout.write(self._line(one, today, width))

    def _line(self, flag: Flag, today: dt.date, width: int) -> str:
        parts = [f"{flag.name:<{width}}", f"{flag.kind:<7}", listing.state(flag, today)]
        if flag.expires_on:
            parts.append(f"until {flag.expires_on:%Y-%m-%d}")
        return "  ".join(parts)

    def _show(self, flag: Flag, *, as_json: bool) -> None:
        found = document.state(flag)
        if as_json:
            text = orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()
            self.stdout.write(text)
        else:
            self.stdout.write(
                yaml.safe_dump(found, sort_keys=False, allow_unicode=True), ending=""
            )


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
        read = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise CommandError(f"'{value}' is no value: {error}") from error
    return field, read.isoformat() if isinstance(read, dt.date) else read


def _changed(flag: Flag, changes: dict[str, Any], reason: str) -> Flag:
    killed = changes.pop(KILLED, None)
    if changes:
        flag = services.edit_flag(flag, changes, actor=COMMAND, reason=reason)
    if killed is not None:
        act = services.kill if killed else services.revive
        flag = act(flag, actor=COMMAND, reason=reason)
    return flag


def _told(error: ValidationError) -> str:
    """All of ours tell the field."""
    return " ".join(
        f"{field}: {text}"
        for field, texts in error.message_dict.items()
        for text in texts
    )
