"""`manage.py import_prompts`: reads the folders that export_prompts writes."""

from pathlib import Path

from prompts.management.operator import operator
from prompts.transfer.import_changes import compare
from prompts.transfer.load import load
from prompts.transfer.prompt_files import read_prompt_files
from valuecanvas.core.transfer.commands import ImportCommand, Imported


class Command(ImportCommand):
    help = (
        "Add missing prompts and versions, and move labels to the versions of the files; "
        "all or nothing. A second run changes nothing. Other prompts, versions and labels "
        "stay."
    )
    noun = "prompts"

    def load(self, folder: Path, *, reason: str, dry: bool) -> Imported:
        files = read_prompt_files(folder)
        changes = (
            [one for one in compare(files) if one]
            if dry
            else load(files, actor=operator(), reason=reason)
        )
        created = sum(one.before is None for one in changes)
        return Imported(
            [line for one in changes for line in one.lines()],
            created,
            len(changes) - created,
            len(files) - len(changes),
        )
