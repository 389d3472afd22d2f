"""Links inside a built site: which lead nowhere, and which pages are far from others."""

from collections.abc import Collection, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """The links of a page, and what they can lead to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value and tag != "base":
                self.links.append(value)
            elif name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")


@cache
def _page(path: Path) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))


def broken(site: Path) -> list[str]:
    """Each link of a page to a file or an anchor of the site that there is not: "page: link"."""
    return [f"{path.relative_to(site)}: {link}" for path, link in _broken(site)]


def _broken(site: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(site.rglob("*.html")):
        for link in dict.fromkeys(_page(path).links):
            file = _target(path, link)
            if file is None or path.name == "404.html":
                continue  # of another place, or relative to wherever it is shown
            parts = urlsplit(link)
            known = file.is_file()
            if known and file.suffix == ".html" and parts.fragment:
                known = unquote(parts.fragment) in _page(file).anchors
            if not known:
                yield path, link


def _target(page: Path, link: str) -> Path | None:
    """The file of the site that a link of a page names; None for another place."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    file = page if not parts.path else (page.parent / unquote(parts.path)).resolve()
    return file / "index.html" if file.is_dir() else file


def far(site: Path, wanted: Collection[str], clicks: int = 2) -> list[str]:
    """Each wanted page that takes more clicks from some page of the site: "from: to".

    wanted: as paths below the site, such as "notebooks/01_redundancy.html".
    """
    site = site.resolve()
    pages = [path for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    found = []
    for start in pages:
        reached = {start}
        for _ in range(clicks):
            reached |= {target for page in reached for target in _leads(page)}
        names = {str(page.relative_to(site)) for page in reached}
        found += [f"{start.relative_to(site)}: {to}" for to in wanted if to not in names]
    return found


@cache
def _leads(page: Path) -> frozenset[Path]:
    """The pages that the links of a page open."""
    targets = (_target(page, link) for link in _page(page).links)
    return frozenset(each for each in targets if each and each.suffix == ".html" and each.is_file())
