"""Flags as YAML: the same file makes the same flags in another database."""

from collections.abc import Iterable
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from django.db import transaction

from flags import document, services
from flags.actor import Actor
from flags.document import Document
from flags.models import Flag

FORMAT = 1


class Dry(Exception):
    """Ends the transaction of a dry run."""


def exported(flags: Iterable[Flag]) -> str:
    """The YAML of `flags`, in the order of their names."""
    rows = [document.exported(flag) for flag in sorted(flags, key=lambda one: one.name)]
    told = {"format": FORMAT, "flags": rows}
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def parsed(text: str) -> list[Document]:
    """The flags of a file. Raises ValidationError."""
    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValidationError(f"This is no YAML: {error}") from error
    rows = told.get("flags") if isinstance(told, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValidationError("This is no file of flags: it has no list 'flags'.")
    if told.get("format") != FORMAT:
        raise ValidationError(f"Only format {FORMAT} is known.")
    return rows


def imported(
    rows: Iterable[Document], *, actor: Actor, reason: str = "", dry: bool = False
) -> dict[str, str]:
    """Make or edit each flag of `rows`, all or none; what happened to each by name:
    'created', 'changed', 'unchanged'. Flags that are not named stay as they are.

    Raises ValidationError, whose text names the flag.
    """
    done: dict[str, str] = {}
    try:
        with transaction.atomic():
            for row in _in_order(list(rows)):
                name = str(row.get("name", ""))
                done[name] = _one(row, name, actor=actor, reason=reason)
            if dry:
                raise Dry
    except Dry:
        pass
    return done


def _one(row: dict[str, Any], name: str, *, actor: Actor, reason: str) -> str:
    before = Flag.objects.filter(name=name).first()
    try:
        # YAML reads 2026-12-31 as a date.
        if row.get("expires_on"):
            row = {**row, "expires_on": str(row["expires_on"])}
        flag = services.import_flag(row, actor=actor, reason=reason)
    except ValidationError as error:
        texts = " ".join(error.messages)
        raise ValidationError(f"{name or 'A flag without a name'}: {texts}") from error
    if before is None:
        return "created"
    return "changed" if flag.revision != before.revision else "unchanged"


def _in_order(rows: list[Document]) -> list[Document]:
    """Flags after those that they depend on; circles stay, and are refused later."""
    names = {str(row.get("name")) for row in rows}
    ordered: list[Document] = []
    done: set[str] = set()
    left = rows
    while left:
        ready = [row for row in left if not (_needs(row) & names) - done] or left
        ordered += ready
        done |= {str(row.get("name")) for row in ready}
        left = [row for row in left if row not in ready]
    return ordered


def _needs(row: Document) -> set[str]:
    given = row.get("prerequisites")
    if not isinstance(given, list):
        return set()
    return {str(one.get("flag")) for one in given if isinstance(one, dict)}
