"""Compares two versions by a unified diff."""

import difflib
import json
from typing import Any

from prompts.models import PromptVersion
from valuecanvas.core.errors import InvalidRequest

# The time of a diff grows with the square of the lines.
MOST_LINES = 4000


def compare_versions(old: PromptVersion, new: PromptVersion) -> dict[str, Any]:
    """The differences of `new` from `old`. Raises InvalidRequest for long texts."""
    before, after = _parts(old), _parts(new)
    changed = [name for name in before if before[name] != after[name]]
    return {
        "from_version": old.number,
        "to_version": new.number,
        "changed": changed,
        "diff": "\n".join(
            line
            for name in changed
            for line in _unified(
                f"v{old.number}/{name}",
                before[name],
                f"v{new.number}/{name}",
                after[name],
            )
        ),
    }


def _unified(old_name: str, old: str, new_name: str, new: str) -> list[str]:
    left, right = old.splitlines(), new.splitlines()
    if max(len(left), len(right)) > MOST_LINES:
        raise InvalidRequest(
            f"A text of more than {MOST_LINES} lines is too long to compare."
        )
    return list(difflib.unified_diff(left, right, old_name, new_name, lineterm=""))


def _parts(version: PromptVersion) -> dict[str, str]:
    return {
        "words": _words(version),
        "variables": "\n".join(_json(one) for one in version.variables),
        "model": version.model,
        "parameters": json.dumps(
            version.parameters, ensure_ascii=False, sort_keys=True, indent=2
        ),
    }


def _words(version: PromptVersion) -> str:
    if not version.messages:
        return version.template
    return "\n\n".join(f"[{one['role']}]\n{one['content']}" for one in version.messages)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
