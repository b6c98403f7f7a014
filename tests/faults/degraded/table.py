"""The table "What fails how" of docs/OPERATIONS.md, as the tests read it."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "OPERATIONS.md"
SECTION = "## What fails how"
WORDS = ("same", "open", "closed", "degraded")


def cells(page: Path = PAGE) -> dict[tuple[str, str], str]:
    """(control, state) -> outcome, such as `closed` or `open: anew`."""
    _, _, section = page.read_text().partition(f"\n{SECTION}\n")
    lines = re.findall(r"^\|.*\|$", section.partition("\n## ")[0], re.M)
    head, _, *rows = [
        [cell.strip() for cell in line[1:-1].split("|")] for line in lines
    ]
    return {
        (control, state): outcome
        for control, *outcomes in rows
        for state, outcome in zip(head[1:], outcomes, strict=True)
    }


def method(outcome: str) -> str:
    """The method of a control that proves `outcome`."""
    return re.sub(r"\W+", "_", outcome)
