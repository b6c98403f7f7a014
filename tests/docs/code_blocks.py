"""The fenced code blocks of README and the guides, and the commands in those of a shell."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(
    r"(?:^[ ]*<!-- not run: (?P<reason>[^\n]+) -->\n\n?)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
# Pages of which something else runs the blocks.
ELSEWHERE = {
    "docs/CLIENTS.md": "make clients: the libraries are not installed here",
    "docs/SDKS.md": "make sdk-test: it builds the clients first",
}


@dataclass(frozen=True)
class CodeBlock:
    """One block; `reason` says why it is not run, if the page says so."""

    page: str
    line: int
    language: str
    text: str
    reason: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def all_blocks() -> list[CodeBlock]:
    """Every block; what is without a language is shown, not run."""
    guides = sorted((ROOT / "docs").rglob("*.md"))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *guides]
    return [one for path in pages for one in blocks_of(path.read_text(), path)]


def blocks_of(text: str, path: Path) -> Iterator[CodeBlock]:
    page = str(path.relative_to(ROOT))
    blocks = [*FENCE.finditer(text)]
    assert 2 * len(blocks) == text.count("```"), f"A fence of {page} is alone."
    for found in blocks:
        line = text.count("\n", 0, found.start("language")) + 1
        reason = found["reason"] or ELSEWHERE.get(page, "")
        yield CodeBlock(page, line, found["language"], dedent(found["text"]), reason)


def blocks_in(*languages: str) -> dict[str, list[CodeBlock]]:
    """The blocks to run in these languages, by page."""
    pages: dict[str, list[CodeBlock]] = {}
    for one in all_blocks():
        if one.language in languages and not one.reason:
            pages.setdefault(one.page, []).append(one)
    return pages


def split_commands(text: str) -> Iterator[str]:
    """The commands of a shell block: one may go over several lines."""
    command = ""
    for line in text.splitlines():
        command += f"{line}\n"
        if line.endswith("\\"):
            continue
        try:
            words = shlex.split(command, comments=True)
        except ValueError:  # a quotation goes on in the next line
            continue
        if words:
            yield command.strip()
        command = ""
    assert not command, f"A quotation has no end: {command}"
