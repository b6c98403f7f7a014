"""`manage.py import_flags`: reads the YAML files that export_flags writes."""

from pathlib import Path

from flags.actor import COMMAND
from flags.documents import yaml_files
from valuecanvas.core.transfer.commands import ImportCommand, Imported


class Command(ImportCommand):
    help = (
        "Create or edit the flags of a folder, or of a single file; all or nothing. A "
        "second run changes nothing. Other flags stay."
    )
    noun = "flags"

    def load(self, folder: Path, *, reason: str, dry: bool) -> Imported:
        rows = yaml_files.read_flag_files(folder)
        return yaml_files.import_flags(rows, actor=COMMAND, reason=reason, dry=dry)
