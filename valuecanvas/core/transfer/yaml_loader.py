"""Loads YAML with size limits: aliases cannot make a short text a huge value."""

from typing import Any

import yaml

# Most nodes with all aliases expanded, and most levels of nesting.
MOST_NODES = 100_000
MOST_DEPTH = 100


class _Loader(yaml.SafeLoader):
    """Counts an alias as all nodes that it stands for."""

    def __init__(self, stream: str | bytes) -> None:
        super().__init__(stream)
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
        if self._nodes > MOST_NODES or self._depth > MOST_DEPTH:
            raise yaml.YAMLError(
                f"It has more than {MOST_NODES} values, or more than {MOST_DEPTH} levels."
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._sizes[event.anchor] = self._nodes - before
        return node


def load(text: str | bytes) -> Any:
    """Load YAML. Raises yaml.YAMLError, also for invalid numbers and dates."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a SafeLoader
    except (ValueError, OverflowError, RecursionError) as error:
        raise yaml.YAMLError(str(error)) from error
