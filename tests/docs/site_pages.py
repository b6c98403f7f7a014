"""The pages of the built site: what each links to, loads, and can be linked to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Elements that make a browser fetch something by itself.
LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src"}


@dataclass
class SitePage(HTMLParser):
    """One page."""

    path: Path
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") not in ("next", "prev", "canonical"):
            self.loaded.append(found["href"])
        if source := found.get(LOADED.get(tag, "")):
            self.loaded.append(source)


@dataclass(frozen=True)
class Site:
    """A folder of pages."""

    folder: Path

    @cached_property
    def pages(self) -> dict[Path, SitePage]:
        found = sorted(self.folder.rglob("*.html"))
        return {path: SitePage(path) for path in found}

    def find_dead(self) -> Iterator[str]:
        """The links and resources within the site that lead nowhere."""
        for page in self.pages.values():
            # The server's own page for what is not there has absolute links.
            if page.path.name == "404.html":
                continue
            for link in (*page.links, *page.loaded):
                if not self._leads(page, link):
                    yield f"{page.path.relative_to(self.folder)}: {link}"

    def find_foreign(self) -> Iterator[str]:
        """What a page or a stylesheet loads from elsewhere."""
        for page in self.pages.values():
            for link in page.loaded:
                if urlsplit(link).netloc:
                    yield f"{page.path.relative_to(self.folder)}: {link}"
        for sheet in self.folder.rglob("*.css"):
            text = sheet.read_text()
            if "url(http" in text or "url(//" in text or "@import" in text:
                yield str(sheet.relative_to(self.folder))

    def _leads(self, page: SitePage, link: str) -> bool:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return True
        place = (page.path.parent / unquote(parts.path)).resolve()
        target = place if parts.path else page.path
        if target not in self.pages or not parts.fragment:
            return target.is_file()
        return unquote(parts.fragment) in self.pages[target].anchors
