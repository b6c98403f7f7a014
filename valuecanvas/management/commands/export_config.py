"""`manage.py export_config`: writes all configuration as a tree of YAML files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from valuecanvas.config_tree.sections import NAMES
from valuecanvas.config_tree.tree_export import describe_left_out, export_tree
from valuecanvas.core.transfer.commands import ExportCommand, Exported


class Command(ExportCommand):
    help = (
        "Write all configuration as YAML; API keys and stored provider keys stay here. "
        "Unchanged files are not written; those of prompts and flags that are gone are "
        f"deleted. KEY is one of: {', '.join(NAMES)}."
    )
    noun = "sections"

    def existing_keys(self, keys: Sequence[str]) -> Iterable[str]:
        return NAMES

    def export(self, folder: Path, keys: Sequence[str], *, dry: bool) -> Exported:
        return export_tree(folder, keys, dry=dry)

    def handle(self, *args: Any, **options: Any) -> str:
        return f"{super().handle(*args, **options)}\n{describe_left_out()}"
