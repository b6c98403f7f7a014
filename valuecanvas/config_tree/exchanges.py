"""Imports the prompts and flags of the tree by their own exchange."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter

from django.contrib.auth.models import User

from flags import services
from flags.actor import FlagActor
from flags.builtin_flags import protect_built_in
from flags.documents.document import Document
from flags.documents.yaml_files import KILLED, import_flags
from flags.models import Flag
from prompts.services import PromptActor
from prompts.transfer.export import load_prompt_files
from prompts.transfer.load import load
from prompts.transfer.prompt_files import PromptFile
from valuecanvas.core.transfer.commands import Imported

NOT_IN_TREE = "not in the tree; --delete deletes it"


def load_prompts(
    files: Sequence[PromptFile], *, actor: PromptActor, reason: str
) -> Imported:
    """Import the files. Prompts, versions and labels that they lack stay.

    Raises ValidationError.
    """
    changes = load(files, actor=actor, reason=reason)
    created = sum(one.before is None for one in changes)
    return Imported(
        list(_mark("prompt", (line for one in changes for line in one.lines()))),
        created,
        len(changes) - created,
        len(files) - len(changes),
        notes=list(_prompt_notes({file.key: file for file in files})),
    )


def _prompt_notes(files: dict[str, PromptFile]) -> Iterator[str]:
    for held in load_prompt_files():
        file = files.get(held.key)
        if file is None:
            yield f"= prompt {held.key}: not in the tree; archive or keep it"
            continue
        more = [
            f"version {one}" for one in sorted(held.versions.keys() - file.versions)
        ]
        more += [f"label {one}" for one in sorted(held.labels.keys() - file.labels)]
        for one in more:
            yield f"= prompt {held.key}: {one} is not in the tree"


def load_flags(
    rows: Sequence[Document], *, actor: FlagActor, reason: str, delete: bool
) -> Imported:
    """Import the flags; `delete` deletes those that `rows` lack.

    The gateway's own and archived ones stay. Raises ValidationError.
    """
    accounts = set(User.objects.values_list("username", flat=True))
    known = [_with_accounts(row, accounts) for row in rows]
    done = import_flags(known, actor=actor, reason=reason)
    protect_built_in()
    named = {str(row["name"]): row for row in rows}
    notes = [
        f"{flag.name}: it stays {'killed' if flag.killed else 'archived'}"
        for flag in Flag.objects.filter(name__in=named).order_by("name")
        if flag.archived or (flag.killed and not named[flag.name].get(KILLED))
    ]
    extras = _extra_flags(named)
    if delete:
        for flag in extras:
            services.delete_flag(flag, actor=actor, reason=reason)
    else:
        notes += [f"{flag.name}: {NOT_IN_TREE}" for flag in extras]
    deleted = [f"- flag {flag.name}" for flag in extras] if delete else []
    return replace(
        done,
        lines=[*_mark("flag", done.lines), *deleted],
        deleted=len(deleted),
        notes=[f"= flag {line}" for line in notes],
    )


def _extra_flags(named: Iterable[str]) -> list[Flag]:
    """The flags that may be deleted, each before those that it needs."""
    rows = Flag.objects.exclude(name__in=named).filter(archived=False, protected=False)
    found = {flag.name: flag for flag in rows.order_by("name")}
    needed_by = {
        name: set(flag.dependants.values_list("flag__name", flat=True))
        for name, flag in found.items()
    }
    order = TopologicalSorter(needed_by).static_order()
    return [found[name] for name in order if name in found]


def _with_accounts(row: Document, accounts: Collection[str]) -> Document:
    """The flag without an owner and users that have no account here."""
    found = dict(row)
    owner, users = row.get("owner"), row.get("users")
    if isinstance(owner, str) and owner not in accounts:
        del found["owner"]
    if isinstance(users, list):
        found["users"] = [
            one for one in users if not isinstance(one, str) or one in accounts
        ]
    return found


def _mark(noun: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines of an exchange, 'KEY: new' or 'KEY: what changed', as those of the plan."""
    for line in lines:
        key, _, text = line.partition(": ")
        yield f"+ {noun} {key}" if text == "new" else f"~ {noun} {line}"
