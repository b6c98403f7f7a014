"""Reads the tree, and checks what needs no database."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.core.exceptions import ValidationError

from flags.documents.yaml_files import read_flag_files
from prompts.transfer.prompt_files import PromptFile, read_prompt_files
from valuecanvas.config_tree.field_values import canonical
from valuecanvas.config_tree.sections import FLAGS, NAMES, PROMPTS, SECTIONS
from valuecanvas.config_tree.tree_section import Document, TreeSection
from valuecanvas.core.transfer import yaml_io
from valuecanvas.core.transfer.commands import field_errors

_FILE = re.compile(
    rf"(?:{'|'.join(SECTIONS)})\.yaml|{FLAGS}/[^/]+\.yaml"
    rf"|{PROMPTS}/(?:.+/)?(?:prompt|v\d{{1,9}})\.yaml"
)
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class TreeRow:
    """A row of a file; `place` says for errors where it stands."""

    place: str
    document: Document


@dataclass
class Tree:
    """What the files say; of what has no file they say nothing."""

    entries: dict[str, list[TreeRow]] = field(default_factory=dict)
    prompts: list[PromptFile] | None = None
    flags: list[Document] | None = None
    errors: list[str] = field(default_factory=list)

    def read(self, name: str, folder: Path) -> None:
        """Read a section; what is wrong is added to `errors`. Raises OSError."""
        try:
            if name == PROMPTS:
                self.prompts = read_prompt_files(folder / name)
            elif name == FLAGS:
                self.flags = read_flag_files(folder / name)
            else:
                path = folder / f"{name}.yaml"
                self.entries[name] = list(self._entries(path, SECTIONS[name]))
        except ValidationError as error:
            self.errors += error.messages

    def _entries(self, path: Path, section: TreeSection) -> Iterator[TreeRow]:
        rows = yaml_io.read_file(path)
        if not isinstance(rows, list):
            raise ValidationError(f"{path}: This is not a list of rows.")
        seen: set[str] = set()
        for number, row in enumerate(rows, start=1):
            place = f"{path}: row {number}"
            try:
                document = section.parse(row)
            except ValidationError as error:
                self.errors.append(f"{place}: {field_errors(error)}")
                continue
            key = canonical(section.key(document))
            if key in seen:
                self.errors.append(f"{place}: An earlier row has the same key.")
            seen.add(key)
            yield TreeRow(f"{place}, {section.name(document)}", document)


def read_tree(folder: Path) -> Tree:
    """Read all files. Raises ValidationError with all that is wrong, OSError."""
    tree = Tree()
    found = [path.relative_to(folder) for path in sorted(folder.rglob("*"))]
    files = [
        path.as_posix()
        for path in found
        if path.suffix in _SUFFIXES and not any(one[0] == "." for one in path.parts)
    ]
    known = [file for file in files if _FILE.fullmatch(file)]
    for file in sorted({*files} - {*known}):
        tree.errors.append(f"{folder / file}: The tree has no such file.")
    if not files:
        tree.errors.append(f"{folder}: There is no file of configuration in it.")
    sections = {re.split("[./]", file)[0] for file in known}
    for name in NAMES:
        if name in sections:
            tree.read(name, folder)
    if tree.errors:
        raise ValidationError(tree.errors)
    return tree
