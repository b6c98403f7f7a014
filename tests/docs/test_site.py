"""The documentation site: it builds without a warning, and no page leads nowhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.site_pages import Site

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site").resolve()
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", folder)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return Site(folder)


def test_site__every_page_of_docs__is_there_and_in_the_navigation(site: Site) -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    for page in (ROOT / "docs").rglob("*.md"):
        name = str(page.relative_to(ROOT / "docs"))
        assert f": {name}\n" in navigation, f"Add it to nav in mkdocs.yml: {name}"
        assert (site.folder / name).with_suffix(".html") in site.pages


def test_site__its_links_and_anchors__lead_somewhere(site: Site) -> None:
    assert len(site.pages) > 20
    assert [*site.find_dead()] == []


def test_site__its_pages__load_nothing_from_elsewhere(site: Site) -> None:
    assert [*site.find_foreign()] == []


def test_site__links_out_of_docs__show_the_file(site: Site) -> None:
    page = site.pages[site.folder / "source/env.example.html"]
    assert "TOGETHER_API_KEY" in page.path.read_text()
    index = (site.folder / "index.html").read_text()
    assert 'href="OPERATIONS.html#backups"' in index


def test_site__lists_and_code_in_pages__are_read_as_such(site: Site) -> None:
    unread = re.compile(r"<p>(?:(?!</p>).)*?\n *(?:- |```|\| ).*?</p>", re.DOTALL)
    for page in site.pages.values():
        text = re.sub(r"<pre.*?</pre>", "", page.path.read_text(), flags=re.DOTALL)
        assert unread.findall(text) == [], page.path


def test_check__a_dead_link_and_a_foreign_script__would_be_seen(tmp_path: Path) -> None:
    page = (
        '<a href="#no"></a><a href="gone.html"></a><script src="https://cdn.example">'
    )
    (tmp_path / "index.html").write_text(page)
    site = Site(tmp_path.resolve())
    assert [*site.find_dead()] == ["index.html: #no", "index.html: gone.html"]
    assert [*site.find_foreign()] == ["index.html: https://cdn.example"]
