"""`manage.py export_flags`: writes flags as YAML files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from flags.documents import yaml_files
from flags.models import Flag
from valuecanvas.core.transfer.commands import ExportCommand, Exported


class Command(ExportCommand):
    help = (
        "Write flags that are not archived as YAML, a file for each. Unchanged files "
        "are not written; nothing is deleted."
    )
    noun = "flags"

    def existing_keys(self, keys: Sequence[str]) -> Iterable[str]:
        rows = Flag.objects.filter(archived=False, name__in=keys)
        found: Iterable[str] = rows.values_list("name", flat=True)
        return found

    def export(self, folder: Path, keys: Sequence[str], *, dry: bool) -> Exported:
        flags = Flag.objects.filter(archived=False)
        wanted = flags.filter(name__in=keys) if keys else flags
        return yaml_files.export(folder, wanted, dry=dry)
