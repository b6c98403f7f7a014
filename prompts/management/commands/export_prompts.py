"""`manage.py export_prompts`: writes prompts as folders of YAML files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from prompts.models import Prompt
from prompts.transfer.export import export
from valuecanvas.core.transfer.commands import ExportCommand, Exported


class Command(ExportCommand):
    help = (
        "Write prompts with their versions and labels as YAML, a folder for each. "
        "Unchanged files are not written; nothing is deleted."
    )
    noun = "prompts"

    def existing_keys(self, keys: Sequence[str]) -> Iterable[str]:
        return Prompt.objects.filter(key__in=keys).values_list("key", flat=True)

    def export(self, folder: Path, keys: Sequence[str], *, dry: bool) -> Exported:
        return export(folder, keys, dry=dry)
