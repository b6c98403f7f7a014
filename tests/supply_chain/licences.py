"""Writes docs/LICENCES.md: the licence of each package that runs in production.

`python -m tests.supply_chain.licences` (`make licences`).
"""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "LICENCES.md"
# Their metadata say nothing; their repositories do.
STATED_ELSEWHERE = {"pyrage": "MIT"}
# Licences that would bind the product itself; "LGPL" binds only changes of the library.
REFUSED = re.compile(r"(?<!L)(?<!Lesser )\b(A?GPL|SSPL|BUSL)|General Public License", re.I)  # fmt: skip
LESSER = re.compile(r"LGPL|Lesser General Public", re.I)
HEAD = """# Licences of third parties

ValueCanvas itself: see [LICENSE](../LICENSE). These packages run in production, unmodified,
as pinned in `requirements.txt`; `make licences` writes this page from their metadata, and
`make sbom` lists them with versions and hashes (CycloneDX, `build/sbom.json`).

Packages under the LGPL are used as libraries through their public interfaces: whoever
receives the image can replace them with pip.

| Package | Licence |
| --- | --- |
"""


def production_packages() -> list[str]:
    """The names in requirements.txt that are installed on this platform."""
    lines = re.findall(r"^([a-z].*?) \\$", (ROOT / "requirements.txt").read_text(), re.M)  # fmt: skip
    wanted = [Requirement(line) for line in lines]
    return [one.name for one in wanted if one.marker is None or one.marker.evaluate()]


def licence_of(name: str) -> str:
    """The licence that a package states: the expression, else its classifiers, else the text."""
    found = metadata.metadata(name)
    classifiers = [
        one.rpartition(" :: ")[2]
        for one in found.get_all("Classifier") or []
        if one.startswith("License ::") and not one.endswith("Proprietary License")
    ]
    # The title of the text, if it is the whole text.
    title = (found.get_all("License") or [""])[0].strip().partition("\n")[0]
    expressions = found.get_all("License-Expression") or classifiers
    return ", ".join(expressions) or title or STATED_ELSEWHERE.get(name, "")


def is_refused(licence: str) -> bool:
    """Whether a licence would bind the product itself."""
    return bool(REFUSED.search(LESSER.sub("", licence)))


def render_page() -> str:
    rows = [f"| {name} | {licence_of(name)} |" for name in production_packages()]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render_page())
