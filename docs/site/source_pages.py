"""Builds the site from pages that are written for a code host.

What they link to outside docs/ gets pages too: README, LICENSE, files of deploy/.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from markdown import Extension, Markdown
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify

ROOT = Path(__file__).resolve().parents[2]
ICON = "valuecanvas/static/valuecanvas/icon.svg"
# Pages of the site by their path in the repository.
OUTSIDE = {
    "README.md": "index.md",
    **{
        name: f"about/{Path(name).stem}.md"
        for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE")
    },
}
LINK = re.compile(r"(\]\()([^)#\s]+)")
LANGUAGES = {".yaml": "yaml", ".json": "json", ".py": "python", ".sh": "sh"}


class ListIndent(Extension):  # type: ignore[misc]  # no types in the library
    """Lists whose parts are indented by two spaces, as code hosts take them."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.tab_length = 2
        md.build_parser()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make anchors and lists as code hosts do."""
    config.markdown_extensions.insert(0, ListIndent())
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/, and one for each file that a page links to."""
    for path, uri in OUTSIDE.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        content = (
            text if path.endswith(".md") else f"# {path}\n\n```text\n{text}\n```\n"
        )
        files.append(File.generated(config, uri, content=content))
    icon = str(ROOT / ICON)
    files.append(File.generated(config, "images/icon.svg", abs_src_path=icon))
    pages = [
        (path_of(file.src_uri), file.content_string)
        for file in files.documentation_pages()
    ]
    linked = {target for path, text in pages for target in find_targets(path, text)}
    for target in sorted(linked):
        if not target.startswith("docs/") and target not in OUTSIDE:
            content = show_source(target)
            files.append(File.generated(config, uri_of(target), content=content))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Lead links to where the site has their target."""
    here = page.file.src_uri
    if "\n## " not in markdown:
        # Without parts to list, its tables get the room.
        page.meta["hide"] = ["toc"]
    if here.startswith("source/"):
        return markdown

    def replace(found: re.Match[str]) -> str:
        target = resolve(path_of(here), found[2])
        if target is None:
            return found[0]
        return found[1] + posixpath.relpath(uri_of(target), posixpath.dirname(here))

    return LINK.sub(replace, markdown)


def find_targets(path: str, text: str) -> Iterator[str]:
    for _, link in LINK.findall(text):
        if target := resolve(path, link):
            yield target


def resolve(path: str, link: str) -> str | None:
    """The path in the repository that a link on the page `path` leads to; None: elsewhere."""
    if re.match(r"[a-z]+:", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def path_of(uri: str) -> str:
    """Where the repository has a page of the site."""
    outside = {there: here for here, there in OUTSIDE.items()}
    return outside.get(uri, f"docs/{uri}")


def uri_of(path: str) -> str:
    """Where the site has what is at `path` in the repository."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"source/{path.strip('./')}.md"


def show_source(path: str) -> str:
    """A page that shows a file, or all files of a folder."""
    place = ROOT / path
    found = sorted(one for one in place.rglob("*") if one.is_file())
    parts = [f"# {path}"]
    for file in found or [place]:
        if found:
            parts.append(f"## {file.relative_to(place)}")
        language = LANGUAGES.get(file.suffix, "text")
        parts.append(f"````{language}\n{file.read_text(encoding='utf-8')}\n````")
    return "\n\n".join(parts)
