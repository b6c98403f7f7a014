"""Put files of YAML, as export_flags writes them, into the database."""

from pathlib import Path

from django.core.exceptions import ValidationError

from flags.actor import COMMAND
from flags.documents import yaml_files
from valuecanvas.core.transfer.commands import ImportCommand, Imported


class Command(ImportCommand):
    help = (
        "Make or edit the flags of a folder, or of a single file; all or nothing. A "
        "second run changes nothing. Flags that the files don't have stay."
    )
    noun = "flags"
    refusals = (ValidationError,)

    def load(self, folder: Path, *, reason: str, dry: bool) -> Imported:
        rows = yaml_files.read_flag_files(folder)
        return yaml_files.import_flags(rows, actor=COMMAND, reason=reason, dry=dry)
