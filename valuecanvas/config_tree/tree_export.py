"""Writes the tree."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, transaction

from billing.models import ApiKey, Budget
from flags.documents import yaml_files
from flags.models import Flag
from llm.models import Provider
from prompts.models import Prompt, PromptVersion
from prompts.transfer import export as prompt_export
from prompts.transfer.prompt_files import PROMPT
from valuecanvas.config_tree.field_values import canonical
from valuecanvas.config_tree.sections import NAMES, PROMPTS, SECTIONS
from valuecanvas.config_tree.tree_section import TreeSection
from valuecanvas.core.transfer import yaml_io
from valuecanvas.core.transfer.commands import Exported, write


def export_tree(folder: Path, names: Sequence[str], *, dry: bool = False) -> Exported:
    """Write the sections `names`, by default all, as they are at one moment.

    Unchanged files are not written. Files of prompts and flags that are gone are deleted.
    Raises OSError.
    """
    chosen = names or NAMES
    with _one_moment():
        written = [line for name in chosen for line in _export(folder, name, dry=dry)]
    return Exported(len(chosen), written)


def describe_left_out() -> str:
    """What stays out of every tree because it is secret, with numbers."""
    return (
        f"Not exported: API keys ({ApiKey.objects.count()}), "
        f"budgets of API keys ({Budget.objects.exclude(api_key=None).count()}), "
        f"stored keys of providers ({Provider.objects.exclude(api_key_sealed=None).count()})."
    )


def _export(folder: Path, name: str, *, dry: bool) -> list[str]:
    if name in SECTIONS:
        file, data = f"{name}.yaml", _dump(SECTIONS[name]).encode()
        return [file] if write(folder / file, data, dry=dry) else []
    if name == PROMPTS:
        found = prompt_export.export(folder / name, dry=dry).written
        kept = {
            f"{key}/{PROMPT}" for key in Prompt.objects.values_list("key", flat=True)
        }
        versions = PromptVersion.objects.values_list("prompt__key", "number")
        kept |= {f"{key}/v{number:04}.yaml" for key, number in versions}
    else:
        flags = Flag.objects.filter(archived=False)
        found = yaml_files.export(folder / name, flags, dry=dry).written
        kept = {f"{flag}.yaml" for flag in flags.values_list("name", flat=True)}
    gone = _delete_others(folder / name, kept, dry=dry)
    return [f"{name}/{line}" for line in (*found, *gone)]


def _dump(section: TreeSection) -> str:
    rows = {
        canonical(section.key(one)): section.compact(one) for _, one in section.rows()
    }
    return yaml_io.dump([rows[key] for key in sorted(rows)])


def _delete_others(folder: Path, kept: Collection[str], *, dry: bool) -> list[str]:
    """Delete the YAML files of prompts or flags that are gone; a line for each."""
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")]
    gone = sorted(set(found).difference(kept))
    for file in () if dry else gone:
        (folder / file).unlink()
    return [f"{file} deleted" for file in gone]


@contextmanager
def _one_moment() -> Iterator[None]:
    """A transaction that sees no later change; within another, as that one sees it."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield
