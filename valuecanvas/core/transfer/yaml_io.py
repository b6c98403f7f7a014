"""Loads YAML with size limits, and writes it.

Aliases cannot make a short text a huge value.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from django.core.exceptions import ValidationError

# Most nodes with all aliases expanded, and most levels of nesting.
MOST_NODES = 100_000
MOST_DEPTH = 100
# YAML treats these as line breaks or drops them, unless they are escaped.
_FRAGILE = re.compile("[\x85\u2028\u2029\ufeff]")


class _Loader(yaml.SafeLoader):
    """Counts an alias as all nodes that it stands for."""

    def __init__(self, stream: str | bytes, most: int) -> None:
        super().__init__(stream)
        self._most = most
        self._nodes = self._depth = 0
        self._sizes: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        before = self._nodes
        if isinstance(event, yaml.AliasEvent) and event.anchor in self.anchors:
            if event.anchor not in self._sizes:
                raise yaml.YAMLError(f"'*{event.anchor}' refers to itself.")
            self._nodes += self._sizes[event.anchor]
        self._nodes += 1
        self._depth += 1
        if self._nodes > self._most or self._depth > MOST_DEPTH:
            raise yaml.YAMLError(
                f"It has more than {self._most} values, or more than {MOST_DEPTH} levels."
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._sizes[event.anchor] = self._nodes - before
        return node


def load(text: str | bytes, most: int | None = None) -> Any:
    """Load YAML of at most `most` values; None: MOST_NODES.

    Raises yaml.YAMLError, also for invalid numbers and dates.
    """
    loader: Any = partial(_Loader, most=most or MOST_NODES)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - it is a SafeLoader
    except (ValueError, OverflowError, RecursionError) as error:
        raise yaml.YAMLError(str(error)) from error


def read_file(path: Path) -> Any:
    """Load a file, with as many values as it has bytes if that is more than MOST_NODES.

    Raises ValidationError, which names the file; OSError.
    """
    data = path.read_bytes()
    try:
        return load(data, max(MOST_NODES, len(data)))
    except yaml.YAMLError as error:
        raise ValidationError(f"{path}: not YAML: {error}") from None


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _FRAGILE.search(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(value: Any) -> str:
    """`value` as YAML, in its order; a line of text stays one line."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**20
    )
    return text
